"""``hvconsole list``: every VM of one or several servers, as a table or as JSON."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any, cast

from hvconsole.backends.base import Secret, TaskContext
from hvconsole.cli.output import DONE, Printer, complaint, exit_code, utc
from hvconsole.cli.session import Servers, add_server_options, refuse_emergency, resolve
from hvconsole.errors import HvError
from hvconsole.events import Hub
from hvconsole.jobs import Job, JobRunner
from hvconsole.model import Inventory, ServerId, Snapshot, Vm
from hvconsole.operations import plain_vms
from hvconsole.profiles import ServerProfile
from hvconsole.text import safe_text, shown_name

SERVERS_AT_ONCE = 8
INVENTORY_S = 60.0


def parser() -> argparse.ArgumentParser:
    """Arguments of ``hvconsole list``."""
    made = argparse.ArgumentParser(
        prog="hvconsole list",
        description="List the VMs of servers. A host that is logged in to with --option emergency=yes has none to "
        "list: it says how it stands, and the exit code isn't 0.",
    )
    made.add_argument("servers", metavar="URL|PROFILE", nargs="+", help="xenserver://user@host, or a saved server")
    made.add_argument("--json", action="store_true", help="print one JSON array")
    add_server_options(made)
    return made


def run(arguments: argparse.Namespace) -> int:
    """List; servers that fail are reported on stderr and decide the exit code, the others are listed all the same."""
    printer = Printer()
    servers = resolve(arguments.servers, arguments)
    code = DONE
    rows: list[tuple[ServerProfile, Inventory]] = []
    for profile, answer in zip(servers.profiles, _read_all(servers), strict=True):
        if isinstance(answer, HvError):
            printer.error(f"{safe_text(profile.name)}: {complaint(answer)}")
            code = code or exit_code(answer)
        else:
            rows.append((profile, answer))
    if arguments.json:
        printer.json([vm_json(profile, inventory, vm) for profile, inventory in rows for vm in _sorted(inventory)])
    elif rows:
        for line in _table(rows):
            printer.line(line)
    return code


def _read_all(servers: Servers) -> list[Inventory | HvError]:
    """What each server answered. A Ctrl-C gets through, whatever hangs: the runner's threads keep nobody."""
    runner = JobRunner(ServerId("list"), "servers", Hub(), servers.clock, SERVERS_AT_ONCE, prefix="list")
    asked: list[Job | HvError] = []
    for profile in servers.profiles:
        try:
            work = partial(_read, servers, profile, servers.secret(profile))
        except HvError as exc:
            asked.append(exc)
        else:
            asked.append(runner.submit("read", "Read", profile.name, None, work))
    answers: list[Inventory | HvError] = []
    for one in asked:
        if isinstance(one, HvError):
            answers.append(one)
            continue
        while not one.finished.wait(0.2):
            pass  # in pieces: a Ctrl-C is only noticed between two waits on some systems
        answers.append(one.view.error or cast("Inventory", one.result))
    runner.stop()
    return answers


def _read(servers: Servers, profile: ServerProfile, secret: Secret, _ctx: TaskContext) -> Inventory:
    hypervisor = servers.log_in(profile, secret)
    try:
        inventory = hypervisor.watch(INVENTORY_S)
        assert inventory is not None  # the contract: the first call returns everything
        refuse_emergency(inventory.emergency)
        return inventory
    finally:
        hypervisor.close()


def _sorted(inventory: Inventory) -> list[Vm]:
    return sorted(plain_vms(inventory), key=lambda vm: (vm.name.casefold(), vm.uuid))


def vm_json(profile: ServerProfile, inventory: Inventory, vm: Vm) -> dict[str, Any]:
    """One VM with the fields that scripts rely on; null where not known."""
    host = inventory.hosts.get(vm.host_id) if vm.host_id is not None else None
    return {
        "platform": inventory.server.platform,
        "server": profile.name,
        "pool": pool_name(inventory, vm),
        "host": host.name if host is not None else None,
        "uuid": vm.uuid,
        "name": vm.name,
        "power_state": vm.power.value,
        "addresses": [*vm.addresses],
        "tools": vm.tools.value,
        "os": vm.os,
        "vcpus": vm.vcpus,
        "memory_bytes": vm.memory_bytes,
        "snapshots": [_snapshot_json(snapshot) for snapshot in vm.snapshots],
    }


def _snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "name": snapshot.name,
        "created": utc(snapshot.created),
        "parent": snapshot.parent_id,
        "automatic": snapshot.automatic,
    }


def pool_name(inventory: Inventory, vm: Vm) -> str | None:
    """Name of the VM's pool; a pool without a name is known by its master."""
    pool = inventory.pools.get(vm.pool_id) if vm.pool_id is not None else None
    if pool is None:
        return None
    if pool.name or pool.master_id is None:
        return pool.name or None
    master = inventory.hosts.get(pool.master_id)
    return master.name if master is not None else None


HEADINGS = ("NAME", "STATE", "HOST", "ADDRESS", "TOOLS", "SNAPSHOTS", "UUID")


def _table(rows: list[tuple[ServerProfile, Inventory]]) -> list[str]:
    several = len(rows) > 1
    cells = [(("SERVER", *HEADINGS) if several else HEADINGS)]
    for profile, inventory in rows:
        for vm in _sorted(inventory):
            host = inventory.hosts.get(vm.host_id) if vm.host_id is not None else None
            row = (
                shown_name(vm.name, vm.uuid, 60),
                vm.power.value,
                safe_text(host.name, 40) if host is not None else "-",
                safe_text(vm.addresses[0], 45) if vm.addresses else "-",
                vm.tools.value,
                str(len(vm.snapshots)),
                safe_text(vm.uuid, 40),
            )
            cells.append((safe_text(profile.name, 40), *row) if several else row)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
