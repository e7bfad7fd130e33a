"""What the rows of the table do with a ``Hypervisor``: the arguments that a user gave, checked and handed over.

Everything in here blocks and raises ``HvError``; job threads only.
"""

from __future__ import annotations

from hvconsole.backends.base import CreateVm, Hypervisor, TaskContext
from hvconsole.errors import InvalidInput
from hvconsole.model import ObjectId
from hvconsole.operation import (
    Arguments,
    Run,
    id_argument,
    name_argument,
    optional_id_argument,
    path_argument,
    text_argument,
)
from hvconsole.profiles import parse_address
from hvconsole.text import unsendable


def snapshot(hv: Hypervisor, vm: ObjectId, a: Arguments, ctx: TaskContext) -> object:
    """Take a snapshot, named as the user wants."""
    return hv.snapshot(
        vm,
        name_argument(a),
        text_argument(a, "description"),
        ctx,
        memory=bool(a.get("memory")),
        quiesce=bool(a.get("quiesce")),
    )


def clone_vm(full: bool) -> Run:
    """A row's ``run`` that clones, or with ``full`` copies."""

    def run(hv: Hypervisor, vm: ObjectId, a: Arguments, ctx: TaskContext) -> object:
        return hv.clone_vm(
            vm,
            name_argument(a),
            ctx,
            full=full,
            storage_id=optional_id_argument(a, "storage"),
            snapshot_id=optional_id_argument(a, "snapshot"),
        )

    return run


def create_vm(hv: Hypervisor, _server: ObjectId, a: Arguments, ctx: TaskContext) -> object:
    """Create a VM as the dialog or the command line describes it."""
    spec = a.get("spec")
    if not isinstance(spec, CreateVm):
        raise InvalidInput("Describe the new VM.")
    for text in (spec.name, spec.description):
        problem = unsendable(text)
        if problem:
            raise InvalidInput(problem)
    return hv.create_vm(spec, ctx)


def import_vm(hv: Hypervisor, _server: ObjectId, a: Arguments, ctx: TaskContext) -> object:
    """Import a package of this computer."""
    return hv.import_vm(
        path_argument(a, "from"),
        ctx,
        name=text_argument(a, "name"),
        storage_id=optional_id_argument(a, "storage"),
        host_id=optional_id_argument(a, "host"),
        network_id=optional_id_argument(a, "network"),
    )


def delete_vm(hv: Hypervisor, vm: ObjectId, a: Arguments, ctx: TaskContext) -> None:
    """Delete a VM with its disks, except those to keep."""
    hv.delete_vm(vm, ctx, keep_disks=frozenset(ObjectId(str(d)) for d in a.get("keep_disks") or ()))


def delete_snapshot(hv: Hypervisor, vm: ObjectId, a: Arguments, ctx: TaskContext) -> None:
    """Delete one snapshot, or one and all below it."""
    hv.delete_snapshot(vm, id_argument(a, "snapshot", "a snapshot"), ctx, children=bool(a.get("children")))


def rename(hv: Hypervisor, vm: ObjectId, a: Arguments, ctx: TaskContext) -> None:
    """Change name and, where given, description."""
    description = text_argument(a, "description") if a.get("description") is not None else None
    hv.rename(vm, name_argument(a), ctx, description=description)


def migrate(hv: Hypervisor, vm: ObjectId, a: Arguments, ctx: TaskContext) -> None:
    """Move a VM to another host, its disks to another storage, or both."""
    host, storage = optional_id_argument(a, "host"), optional_id_argument(a, "storage")
    if host is None and storage is None:
        raise InvalidInput("Choose a host.")
    hv.migrate(vm, host, ctx, storage_id=storage)


def point_to_master(hv: Hypervisor, _server: ObjectId, a: Arguments, ctx: TaskContext) -> None:
    """Tell a pool member that lost its master where the new one is."""
    host, _port = parse_address(text_argument(a, "address"), 443)
    hv.point_to_master(host, ctx)
