"""What the monitor needs of the rest of the program, as protocols that others fulfil.

``connection.Connection`` is a ``Server``, ``connection.Connections`` are ``Servers``, ``settings.SettingsStore`` is a
``MonitorMemory``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from hvconsole.backends.base import Hypervisor
from hvconsole.errors import HvError
from hvconsole.jobs import Job
from hvconsole.model import Inventory, ObjectId, ServerId, Verb
from hvconsole.monitor.status import DEFAULT, MonitorSettings, VmKey

T = TypeVar("T")


class Server(Protocol):
    """One connected server. Nothing here blocks; all may be called from any thread."""

    inventory: Inventory | None
    """The last one; it may be old when ``connected`` is False."""

    @property
    def id(self) -> ServerId:
        """Stable id."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def connected(self) -> bool:
        """Whether the inventory is live and verbs can be asked for."""

    @property
    def endpoints(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each of its addresses."""

    def submit(
        self,
        verb: Verb,
        object_id: ObjectId,
        arguments: Mapping[str, Any] | None = None,
        by: str = "user",
        *,
        insist: bool = False,
    ) -> Job:
        """Queue an operation as a visible job."""

    def ask(self, work: Callable[[Hypervisor], T], done: Callable[[T | HvError], None], by: str = "user") -> None:
        """Run a read on a worker thread; ``done`` is called there. ``by`` "monitor": beside those for the window."""


class Servers(Protocol):
    """All servers of this run."""

    def get(self, server_id: ServerId) -> Server | None:
        """One of them, or None."""

    def all(self) -> Iterable[Server]:
        """All of them."""


class MonitorMemory(Protocol):
    """What survives a restart: the settings for all, and of each VM whether it is ticked and its own settings.

    Nothing here blocks; any thread.
    """

    def monitor_defaults(self) -> MonitorSettings:
        """Settings of VMs that have none of their own."""

    def monitor_settings(self, server_id: ServerId, vm_id: ObjectId) -> MonitorSettings:
        """A VM's own settings, or the defaults."""

    def set_monitor_settings(self, server_id: ServerId, vm_id: ObjectId, settings: MonitorSettings | None) -> None:
        """Give a VM settings of its own; None = the defaults again."""

    def ticked(self, server_id: ServerId) -> frozenset[ObjectId]:
        """VMs of a server that are to be monitored."""

    def set_ticked(self, server_id: ServerId, vm_id: ObjectId, ticked: bool) -> None:
        """Remember that a VM is to be monitored, or no longer."""


class MemoryOfThisRun:
    """Remembers nothing beyond this run: for ``hvconsole watch``, which is told what to watch."""

    def __init__(self, defaults: MonitorSettings = DEFAULT) -> None:
        self.defaults = defaults
        self._own: dict[VmKey, MonitorSettings] = {}
        self._ticked: dict[ServerId, frozenset[ObjectId]] = {}

    def monitor_defaults(self) -> MonitorSettings:
        """Settings of VMs that have none of their own."""
        return self.defaults

    def monitor_settings(self, server_id: ServerId, vm_id: ObjectId) -> MonitorSettings:
        """A VM's own settings, or the defaults."""
        return self._own.get(VmKey(server_id, vm_id), self.defaults)

    def set_monitor_settings(self, server_id: ServerId, vm_id: ObjectId, settings: MonitorSettings | None) -> None:
        """Give a VM settings of its own; None = the defaults again."""
        if settings is None:
            self._own.pop(VmKey(server_id, vm_id), None)
        else:
            self._own[VmKey(server_id, vm_id)] = settings

    def ticked(self, server_id: ServerId) -> frozenset[ObjectId]:
        """VMs of a server that are to be monitored."""
        return self._ticked.get(server_id, frozenset())

    def set_ticked(self, server_id: ServerId, vm_id: ObjectId, ticked: bool) -> None:
        """Remember that a VM is to be monitored, or no longer."""
        before = self.ticked(server_id)
        self._ticked[server_id] = before | {vm_id} if ticked else before - {vm_id}
