"""Options of ``hvconsole run create`` → ``CreateVm``."""

from __future__ import annotations

import argparse
import re

from hvconsole.backends.base import CreateVm
from hvconsole.cli.objects import find_host, find_network, find_storage, find_vm
from hvconsole.cli.output import UsageError
from hvconsole.model import Inventory
from hvconsole.operation import MOST_AT_ONCE

_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def add_spec_options(made: argparse.ArgumentParser) -> None:
    """What a new VM can be told on the command line; the platform refuses what it does not know."""
    made.add_argument("--name", required=True, help="name of the new VM")
    made.add_argument("--description", default="")
    made.add_argument("--template", metavar="VM", help="template to make it from")
    made.add_argument("--guest-os", metavar="ID", default="")
    made.add_argument("--vcpus", metavar="N", type=int)
    made.add_argument("--memory", metavar="SIZE", type=size, help="for example 2G")
    made.add_argument("--disk", metavar="SIZE", type=size, help="size of its disk, for example 20G")
    made.add_argument("--disk-thick", action="store_true", help="reserve the disk's whole size at once")
    made.add_argument("--existing-disk", metavar="DISK", default="")
    made.add_argument("--storage", metavar="STORAGE")
    made.add_argument("--network", metavar="NETWORK")
    made.add_argument("--nic-type", metavar="TYPE", default="")
    made.add_argument("--host", metavar="HOST")
    made.add_argument("--generation", metavar="N", type=int)
    made.add_argument("--iso", metavar="ISO", default="")
    made.add_argument(
        "--count", metavar="N", type=int, default=1, help="create several: web-# becomes web-01, web-02 and so on"
    )
    made.add_argument("--start", action="store_true", help="start it at once")


def size(text: str) -> int:
    """ "20G", "512MiB", "1048576" → bytes. Raises ``ArgumentTypeError``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"“{text[:40]}” isn't a size like 512M or 20G")
    return int(match[1]) << (10 * _POWERS[match[2].upper()])


def build_spec(given: argparse.Namespace, inventory: Inventory) -> CreateVm:
    """What the options mean on this server. Raises ``UsageError``."""
    if given.vcpus is not None and given.vcpus < 1:
        raise UsageError("A VM needs at least one virtual CPU.")
    if not 1 <= given.count <= MOST_AT_ONCE:
        raise UsageError(f"--count takes a number from 1 to {MOST_AT_ONCE}.")
    return CreateVm(
        name=given.name,
        description=given.description,
        template_id=find_vm(inventory, given.template).id if given.template else None,
        guest_os=given.guest_os,
        vcpus=given.vcpus,
        memory_bytes=given.memory,
        disk_bytes=given.disk,
        disk_thin=not given.disk_thick,
        existing_disk=given.existing_disk,
        storage_id=find_storage(inventory, given.storage).id if given.storage else None,
        network_id=find_network(inventory, given.network).id if given.network else None,
        nic_type=given.nic_type,
        host_id=find_host(inventory, given.host).id if given.host else None,
        generation=given.generation,
        iso=given.iso,
        start=given.start,
    )
