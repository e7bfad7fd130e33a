"""What is named on the command line, found on the server: by UUID or id, else by a name that only one object has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hvconsole.backends.base import Hypervisor
from hvconsole.cli.output import UsageError
from hvconsole.errors import NotFound
from hvconsole.model import Host, Inventory, Network, ObjectId, Snapshot, Storage, Vm
from hvconsole.operations import SERVER_OBJECT, Scope, find_vms
from hvconsole.text import safe_text


@dataclass(frozen=True)
class Chosen:
    """One object to work on. ``id`` is empty for the server itself."""

    id: ObjectId
    uuid: str
    name: str
    vm: Vm | None = None

    def disk_ids(self, texts: Sequence[str], hypervisor: Hypervisor) -> list[ObjectId]:
        """Disks of the VM by id or unique name. Blocks; raises ``UsageError``."""
        disks = [d for d in hypervisor.details(self.id).disks if not d.is_cd]
        found = []
        for text in texts:
            fits = [d for d in disks if text == d.id] or [d for d in disks if text == d.name]
            if len(fits) != 1:
                names = ", ".join(f"{safe_text(d.name, 60)} ({safe_text(d.id, 60)})" for d in disks) or "none"
                raise UsageError(f"“{safe_text(text, 80)}” isn't one disk of {safe_text(self.name, 80)}: {names}.")
            found.append(fits[0].id)
        return found


class _Named(Protocol):
    @property
    def id(self) -> ObjectId: ...
    @property
    def uuid(self) -> str: ...
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def choose(scope: Scope, inventory: Inventory, texts: Sequence[str], server: str) -> list[Chosen]:
    """The objects that are meant, each once. Raises ``NotFound`` for unknown, ``UsageError`` for ambiguous names."""
    if scope is Scope.SERVER:
        return [Chosen(SERVER_OBJECT, "", server)]
    found: dict[ObjectId, Chosen] = {}
    for text in texts:
        if scope is Scope.HOST:
            host = find_host(inventory, text)
            found[host.id] = Chosen(host.id, host.uuid, host.name)
        else:
            vm = find_vm(inventory, text)
            found[vm.id] = Chosen(vm.id, vm.uuid, vm.name, vm)
    return [*found.values()]


def find_vm(inventory: Inventory, text: str) -> Vm:
    """The VM (or template) that is meant. Raises ``NotFound``, ``UsageError``."""
    return _one(find_vms(inventory, text), text, "VM")


def find_host(inventory: Inventory, text: str) -> Host:
    """The host that is meant. Raises ``NotFound``, ``UsageError``."""
    return _by_name(inventory.hosts.values(), text, "host")


def find_storage(inventory: Inventory, text: str) -> Storage:
    """The storage that is meant. Raises ``NotFound``, ``UsageError``."""
    return _by_name(inventory.storages.values(), text, "storage")


def find_network(inventory: Inventory, text: str) -> Network:
    """The network that is meant. Raises ``NotFound``, ``UsageError``."""
    return _by_name(inventory.networks.values(), text, "network")


def find_snapshot(one: Chosen, text: str) -> Snapshot:
    """The snapshot of a VM that is meant. Raises ``NotFound``, ``UsageError``."""
    snapshots = one.vm.snapshots if one.vm is not None else ()
    by_id = [s for s in snapshots if s.id.lower() == text.strip().lower()]
    fits = by_id or [s for s in snapshots if s.name == text]
    if len(fits) == 1:
        return fits[0]
    if not fits:
        names = ", ".join(f"“{safe_text(s.name, 60)}”" for s in snapshots) or "none"
        raise NotFound(f"{safe_text(one.name, 80)} has no snapshot “{safe_text(text, 80)}”; it has: {names}.")
    ids = ", ".join(safe_text(s.id, 60) for s in fits)
    raise UsageError(f"{safe_text(one.name, 80)} has several snapshots “{safe_text(text, 80)}”; name one by id: {ids}.")


def _by_name(objects: Iterable[N], text: str, what: str) -> N:
    wanted = text.strip().lower()
    everything = [*objects]
    fits = [o for o in everything if wanted in (o.id.lower(), o.uuid.lower())]
    fits = fits or [o for o in everything if o.name == text]
    if not fits:
        names = ", ".join(sorted(safe_text(o.name, 60) for o in everything)[:20]) or "none"
        raise NotFound(f"There is no {what} “{safe_text(text, 80)}”; there are: {names}.")
    return _one(fits, text, what)


def _one(fits: Sequence[N], text: str, what: str) -> N:
    if len(fits) > 1:
        # Copying a VM's files on a datastore copies its UUID.
        by_uuid = all(o.uuid for o in fits) and len({o.uuid for o in fits}) == len(fits)
        key = "UUID" if by_uuid else "id"
        listed = ((o.uuid if by_uuid else o.id, o.name) for o in fits[:50])
        candidates = "\n".join(f"  {safe_text(one, 60)}  {safe_text(name, 80)}" for one, name in listed)
        raise UsageError(f"Several {what}s are called “{safe_text(text, 80)}”; name one by {key}:\n{candidates}")
    return fits[0]
