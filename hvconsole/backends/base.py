"""The contract every backend fulfils. The docstrings here ARE the contract; ``tests/contract/`` enforces them."""

from __future__ import annotations

import abc
import datetime as dt
import enum
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hvconsole.errors import HvError, NotSupported, TaskCancelled
from hvconsole.model import (
    Certificate,
    ConsoleAddress,
    HostDetails,
    Inventory,
    Metrics,
    NetworkMap,
    ObjectId,
    ServerEvent,
    ServerInfo,
    Snapshot,
    VmDetails,
)


class Capability(enum.Flag):
    """What a server can do at all. A missing one raises ``NotSupported`` and nothing else."""

    NONE = 0
    SUSPEND = enum.auto()
    PAUSE = enum.auto()
    STANDBY = enum.auto()
    SNAPSHOT = enum.auto()
    SNAPSHOT_MEMORY = enum.auto()
    SNAPSHOT_QUIESCE = enum.auto()
    SNAPSHOT_SUBTREE = enum.auto()
    CREATE = enum.auto()
    CREATE_FROM_TEMPLATE = enum.auto()
    CLONE = enum.auto()
    COPY = enum.auto()
    TO_TEMPLATE = enum.auto()
    TO_VM = enum.auto()
    UNREGISTER = enum.auto()
    MIGRATE = enum.auto()
    MIGRATE_STORAGE = enum.auto()
    START_ON = enum.auto()
    EXPORT = enum.auto()
    IMPORT = enum.auto()
    MAINTENANCE = enum.auto()
    HOST_POWER = enum.auto()
    CHANGE_PASSWORD = enum.auto()
    EMERGENCY = enum.auto()
    METRICS = enum.auto()
    NETWORK_MAP = enum.auto()
    EVENTS = enum.auto()
    SCREENSHOT = enum.auto()
    CONSOLE = enum.auto()
    CANCEL_TASK = enum.auto()


class TaskContext:
    """How a verb reports progress and learns that the user cancelled. Thread-safe.

    ``report`` is called in the verb's own thread with (fraction 0..1 or None, text).
    """

    def __init__(self, report: Callable[[float | None, str], None] | None = None) -> None:
        self._report = report
        self._cancel = threading.Event()
        self._wakers: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def progress(self, fraction: float | None, text: str = "") -> None:
        """Report how far the verb is; ``fraction`` None = unknown. Called by backends from the verb's thread."""
        if self._report is not None:
            self._report(None if fraction is None else min(1.0, max(0.0, fraction)), text)

    @property
    def cancelled(self) -> bool:
        """True once ``cancel`` was called."""
        return self._cancel.is_set()

    def cancel(self) -> None:
        """Ask the verb to stop; any thread. The verb decides how, and may still finish normally."""
        self._cancel.set()
        with self._lock:
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def on_cancel(self, wake: Callable[[], None]) -> None:
        """Register a cheap, non-blocking function that interrupts a blocked verb (closes a socket, sets an event)."""
        with self._lock:
            self._wakers.append(wake)
        if self.cancelled:
            wake()

    def wait(self, seconds: float) -> bool:
        """Wait, but return True at once when cancelled."""
        return self._cancel.wait(seconds)

    def raise_if_cancelled(self) -> None:
        """Raise ``TaskCancelled`` if the user cancelled: for the moments at which nothing is left to undo."""
        if self.cancelled:
            raise TaskCancelled("Cancelled.")


class Trust(Protocol):
    """What a backend asks about certificates. Implemented by ``trust.PinStore``; thread-safe."""

    def pinned(self, host: str, port: int) -> Certificate | None:
        """The certificate accepted for this address, or None if nobody accepted one yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A password on its way to a backend. Never shown, never logged."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where and as whom to log in. ``addresses`` are (host, port) pairs of one server or pool, tried in order.

    ``options`` are platform specific and documented by the backend: XenServer "emergency" (local login to a slave),
    "legacy_tls" (vSphere too); Hyper-V "scheme" (https/http), "auth" (ntlm/kerberos/credssp/certificate).
    ``known_members``: addresses that earlier verified sessions saw as members of this pool.
    """

    platform: str
    addresses: tuple[tuple[str, int], ...]
    user: str
    options: Mapping[str, str] = field(default_factory=dict)
    known_members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVm:
    """What a new VM shall be. Fields that a platform does not know are refused with ``InvalidInput`` when set."""

    name: str
    description: str = ""
    template_id: ObjectId | None = None
    guest_os: str = ""
    """Id out of ``creation_choices``."""
    vcpus: int | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    disk_thin: bool = True
    existing_disk: str = ""
    storage_id: ObjectId | None = None
    network_id: ObjectId | None = None
    nic_type: str = ""
    host_id: ObjectId | None = None
    generation: int | None = None
    iso: str = ""
    start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationChoices:
    """What can be chosen when creating a VM: (id, label) pairs, best first."""

    guest_oses: tuple[tuple[str, str], ...] = ()
    nic_types: tuple[tuple[str, str], ...] = ()
    generations: tuple[int, ...] = ()
    isos: tuple[tuple[str, str], ...] = ()
    max_vcpus: int | None = None
    fields: frozenset[str] = frozenset()
    """Names of the ``CreateVm`` fields that this platform understands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSearch:
    """What exists under a name: finished snapshots, and whether one is being taken right now on that VM."""

    found: tuple[Snapshot, ...] = ()
    running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the connection doctor. ``remedy`` says what to do where ``ok`` is false, or what to watch."""

    name: str
    """"dns", "tcp", "tls", "login", "permission", or a word of the platform's own ("clock")."""
    ok: bool
    text: str
    remedy: str = ""
    detail: str = ""
    """The server's own words (hostile)."""
    error: HvError | None = None


class Hypervisor(abc.ABC):
    """One logged-in server.

    Threads: every method blocks and may be called from any worker thread, several at once; never from the Tk thread.
    Errors:  only subclasses of ``errors.HvError`` leave these methods.
    Effects: a verb returns when the server says that it is done, not when it was accepted. It reports progress and can
             be cancelled through its ``TaskContext``; cancelled means ``TaskCancelled``, and cancelled on the server.
    Writes:  sent once. A lost reply raises ``OutcomeUnknown``; the caller looks before it asks again.
    Ids:     those of the latest Inventory; an id that is gone raises ``NotFound``.
    """

    @property
    @abc.abstractmethod
    def info(self) -> ServerInfo:
        """Who we are talking to; does not block."""

    @property
    @abc.abstractmethod
    def capabilities(self) -> Capability:
        """What this server can do; does not block, may shrink (read-only licence found out later)."""

    @abc.abstractmethod
    def watch(self, timeout_s: float) -> Inventory | None:
        """The next state of the server. One thread at a time.

        The first call returns everything. Later calls wait for changes and return the next Inventory, built
        incrementally (one VM changed → one ``Vm`` rebuilt, all other objects are the same objects), or None when
        nothing changed within ``timeout_s``. Raises ``SessionLost`` or a ``ConnectError`` when the server is away.
        """

    @abc.abstractmethod
    def refresh(self) -> None:
        """Make the next ``watch`` read everything again (F5). Does not block; wakes a waiting ``watch``."""

    def nudge(self) -> None:  # noqa: B027 - servers that push events need no nudge
        """Something was just done: look soon. Does not block. Polling backends shorten their pause."""

    @abc.abstractmethod
    def close(self) -> None:
        """Log out and end. Idempotent; calls blocked in other threads end within a second with ``SessionLost``."""

    def diagnose(self) -> Iterator[Step]:
        """What only this platform can check about a session: role, licence, clock. Blocks; for the connection doctor.

        A step that is not ok does not end the diagnosis; nothing is changed on the server.
        """
        return iter(())

    # ---- details when looked at ----------------------------------------------------------------------------

    @abc.abstractmethod
    def details(self, vm_id: ObjectId) -> VmDetails:
        """Cards, disks and facts of one VM."""

    def metrics(self, object_id: ObjectId, seconds: int = 600) -> Metrics:
        """The last ``seconds`` of measurements of a VM or host."""
        raise self._unsupported("performance data")

    def network_map(self, host_id: ObjectId) -> NetworkMap:
        """Which physical cards, networks and VM cards of a host belong together."""
        raise self._unsupported("a network map")

    def events(self, since: dt.datetime | None = None) -> tuple[ServerEvent, ...]:
        """The server's own messages, newest first, at most 500."""
        raise self._unsupported("an event log")

    def screenshot(self, vm_id: ObjectId) -> bytes:
        """A picture of the VM's screen, PNG or JPEG, at most 8 MiB. Decode it as hostile input."""
        raise self._unsupported("screenshots")

    def console(self, vm_id: ObjectId) -> ConsoleAddress:
        """Where an external viewer reaches the VM's console."""
        raise self._unsupported("consoles")

    # ---- power ---------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def start(self, vm_id: ObjectId, ctx: TaskContext, *, host_id: ObjectId | None = None) -> None:
        """Power on, on ``host_id`` if given (needs START_ON)."""

    @abc.abstractmethod
    def shutdown(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Shut down through the guest. ``ToolsMissing`` where the guest cannot be asked."""

    @abc.abstractmethod
    def power_off(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Pull the plug."""

    @abc.abstractmethod
    def reboot(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Restart through the guest. ``ToolsMissing`` where the guest cannot be asked."""

    @abc.abstractmethod
    def reset(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Press the reset button."""

    def suspend(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Save memory to disk and stop."""
        raise self._unsupported("suspending")

    def resume(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Continue a suspended VM."""
        raise self._unsupported("suspending")

    def pause(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Stop the virtual CPUs, keep memory."""
        raise self._unsupported("pausing")

    def unpause(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Continue a paused VM."""
        raise self._unsupported("pausing")

    def standby(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Ask the guest to go to standby."""
        raise self._unsupported("guest standby")

    # ---- snapshots -----------------------------------------------------------------------------------------

    def snapshot(
        self,
        vm_id: ObjectId,
        name: str,
        description: str,
        ctx: TaskContext,
        *,
        memory: bool = False,
        quiesce: bool = False,
    ) -> Snapshot:
        """Take a snapshot; the returned one carries name and description. Sent once, whatever happens."""
        raise self._unsupported("snapshots")

    def revert(self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext) -> None:
        """Put the VM back to the snapshot's state."""
        raise self._unsupported("snapshots")

    def delete_snapshot(
        self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext, *, children: bool = False
    ) -> None:
        """Delete a snapshot with its disks; ``children``: and everything that descends from it."""
        raise self._unsupported("snapshots")

    def describe_snapshot(self, vm_id: ObjectId, snapshot_id: ObjectId, description: str) -> None:
        """Write a snapshot's description again: a station that died between taking and describing it left it bare.
        Harmless to repeat. Only platforms that need two calls for a described snapshot offer it."""
        raise self._unsupported("describing snapshots")

    def find_snapshots(self, vm_id: ObjectId, name: str) -> SnapshotSearch:
        """Ask the server afresh, not the inventory: snapshots of that name, and whether one is running."""
        raise self._unsupported("snapshots")

    # ---- life ----------------------------------------------------------------------------------------------

    def creation_choices(self, host_id: ObjectId | None = None) -> CreationChoices:
        """What the Create dialog can offer."""
        raise self._unsupported("creating VMs")

    def create_vm(self, spec: CreateVm, ctx: TaskContext) -> ObjectId:
        """Create a VM; a half-made one is removed again on failure."""
        raise self._unsupported("creating VMs")

    def clone_vm(
        self,
        vm_id: ObjectId,
        name: str,
        ctx: TaskContext,
        *,
        full: bool = False,
        storage_id: ObjectId | None = None,
        snapshot_id: ObjectId | None = None,
    ) -> ObjectId:
        """Make another VM of this one (of one of its snapshots); ``full``: with disks copied, optionally elsewhere."""
        raise self._unsupported("cloning")

    def to_template(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Turn a halted VM into a template."""
        raise self._unsupported("templates")

    def to_vm(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Turn a template back into a VM that is shut down. ``Refused`` for what is no template."""
        raise self._unsupported("turning templates into VMs")

    @abc.abstractmethod
    def delete_vm(self, vm_id: ObjectId, ctx: TaskContext, *, keep_disks: frozenset[ObjectId] = frozenset()) -> None:
        """Delete a VM, its snapshots and its disks, except ``keep_disks`` and disks that other VMs use."""

    def unregister(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        """Take a VM that its server has lost off the inventory; its files, where there are any, stay. ``Refused`` for
        one that is in order: that is deleted."""
        raise self._unsupported("removing VMs from the inventory")

    @abc.abstractmethod
    def rename(self, vm_id: ObjectId, name: str, ctx: TaskContext, *, description: str | None = None) -> None:
        """Change a VM's name and, if given, its description."""

    def migrate(
        self, vm_id: ObjectId, host_id: ObjectId | None, ctx: TaskContext, *, storage_id: ObjectId | None = None
    ) -> None:
        """Move a VM to another host of the same pool or cluster, its disks to ``storage_id``, or both; running if it
        runs. None leaves it where it is. ``storage_id`` needs MIGRATE_STORAGE."""
        raise self._unsupported("migration")

    def export_vm(self, vm_id: ObjectId, path: Path, ctx: TaskContext, *, compress: bool = False) -> None:
        """Write the VM into a file (XVA, OVA) or folder. Nothing partial is left under the final name."""
        raise self._unsupported("export")

    def import_vm(
        self,
        path: Path,
        ctx: TaskContext,
        *,
        name: str = "",
        storage_id: ObjectId | None = None,
        host_id: ObjectId | None = None,
        network_id: ObjectId | None = None,
    ) -> ObjectId:
        """Create a VM from a file; nothing is left on the server when it fails."""
        raise self._unsupported("import")

    # ---- hosts and pools -----------------------------------------------------------------------------------

    @abc.abstractmethod
    def host_info(self, host_id: ObjectId) -> HostDetails:
        """Cards, storages, licence and facts of one host."""

    def enter_maintenance(self, host_id: ObjectId, ctx: TaskContext) -> None:
        """No new VMs, move the running ones away."""
        raise self._unsupported("maintenance mode")

    def leave_maintenance(self, host_id: ObjectId, ctx: TaskContext) -> None:
        """Accept VMs again."""
        raise self._unsupported("maintenance mode")

    def host_reboot(self, host_id: ObjectId, ctx: TaskContext, *, force: bool = False) -> None:
        """Restart a host; refused while VMs run there unless ``force`` (then they are shut down hard)."""
        raise self._unsupported("restarting hosts")

    def host_shutdown(self, host_id: ObjectId, ctx: TaskContext, *, force: bool = False) -> None:
        """Switch a host off; refused while VMs run there unless ``force`` (then they are shut down hard)."""
        raise self._unsupported("switching off hosts")

    def change_password(self, old: Secret, new: Secret, ctx: TaskContext) -> None:
        """Change the password of the user that is logged in (XenServer: root of the whole pool)."""
        raise self._unsupported("changing passwords")

    # ---- emergency (XenServer) -----------------------------------------------------------------------------

    def become_master(self, ctx: TaskContext) -> None:
        """Make this host, which is in emergency mode, the pool's master."""
        raise self._unsupported("emergency recovery")

    def point_to_master(self, address: str, ctx: TaskContext) -> None:
        """Tell this host, which is in emergency mode, where its master is."""
        raise self._unsupported("emergency recovery")

    def _unsupported(self, what: str) -> NotSupported:
        return NotSupported(f"{self.info.product} doesn't offer {what} here.")
