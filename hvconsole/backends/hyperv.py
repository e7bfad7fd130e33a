"""The Hyper-V backend: the contract of ``base.Hypervisor`` on WMI over WS-Management.

``Target.options``: "scheme" https (default) or http (messages sealed); "auth" ntlm (default), kerberos, credssp,
certificate, or basic (https only); "cert_pem" and "cert_key_pem", files for "certificate"; "trace", a file into which
redacted envelopes are written; "destinations", names of hosts that VMs may be migrated to.

One host per connection; ids are GUIDs in lower case, the host's id is its name.

Threads as the contract says; every verb has a connection of its own while it asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from hvconsole.backends import hyperv_diagnosis, wmi_query
from hvconsole.backends import hyperv_host as host_side
from hvconsole.backends.base import (
    Capability,
    CreateVm,
    CreationChoices,
    Hypervisor,
    Secret,
    SnapshotSearch,
    Step,
    Target,
    TaskContext,
    Trust,
)
from hvconsole.backends.hyperv_details import Details
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.hyperv_life import LifeVerbs
from hvconsole.backends.hyperv_model import HostFacts
from hvconsole.backends.hyperv_move import MoveVerbs
from hvconsole.backends.hyperv_poll import HOST, Poller
from hvconsole.backends.hyperv_power import PowerVerbs
from hvconsole.backends.hyperv_read import SNAPSHOTS, Reader
from hvconsole.backends.hyperv_snapshots import SnapshotVerbs
from hvconsole.backends.wsman import Identity, WsmanClient
from hvconsole.backends.wsman_trace import Trace
from hvconsole.backends.wsman_transport import Endpoint
from hvconsole.clock import Clock
from hvconsole.errors import (
    BadReply,
    HvError,
    InvalidInput,
    NotAHypervisor,
    NotFound,
    NotSupported,
    PermissionDenied,
    Unreachable,
)
from hvconsole.model import (
    ConsoleAddress,
    HostDetails,
    Inventory,
    Metrics,
    NetworkMap,
    ObjectId,
    ServerInfo,
    Snapshot,
    Verb,
    Vm,
    VmDetails,
)

_RDP_PORT = 2179
_ALWAYS = (
    Capability.SUSPEND
    | Capability.PAUSE
    | Capability.SNAPSHOT
    | Capability.SNAPSHOT_MEMORY
    | Capability.SNAPSHOT_QUIESCE
    | Capability.SNAPSHOT_SUBTREE
    | Capability.CREATE
    | Capability.EXPORT
    | Capability.IMPORT
    | Capability.HOST_POWER
    | Capability.METRICS
    | Capability.NETWORK_MAP
    | Capability.SCREENSHOT
    | Capability.CONSOLE
    | Capability.CANCEL_TASK
)


def open_hyperv(target: Target, secret: Secret, trust: Trust, clock: Clock) -> HypervHost:
    """Log in to a Hyper-V host. Blocks at most about 20 s; worker threads only.

    Raises ``ConnectError`` of all kinds, ``PermissionDenied`` without Hyper-V rights, ``InvalidInput`` for options
    that would send the password in clear, ``LocalError``.
    """
    last: HvError = Unreachable("No address is given.")
    for host, port in target.addresses:
        client = WsmanClient(_endpoint(target, secret, host, port), trust, clock, trace=_trace(target, clock, host))
        try:
            return _log_in(client, target, clock)
        except Unreachable as exc:
            client.close()
            last = exc
        except BaseException:
            client.close()
            raise
    raise last


def _endpoint(target: Target, secret: Secret, host: str, port: int) -> Endpoint:
    options = target.options
    return Endpoint(
        scheme=options.get("scheme") or "https",
        host=host.strip("[]"),
        port=port,
        auth=options.get("auth") or "ntlm",
        user=target.user,
        password=secret.password,
        cert_pem=options.get("cert_pem", ""),
        cert_key_pem=options.get("cert_key_pem", ""),
    )


def _trace(target: Target, clock: Clock, host: str) -> Trace | None:
    path = target.options.get("trace")
    if not path:
        return None
    domain, _, user = target.user.rpartition("\\")
    name, _, realm = user.partition("@")
    return Trace(Path(path), clock, words=(host, target.user, user, name, domain, realm))


def _log_in(client: WsmanClient, target: Target, clock: Clock) -> HypervHost:
    identity = _identify(client)
    reader = Reader(client)
    facts = host_side.learn(reader, client.endpoint.host)
    with contextlib.suppress(PermissionDenied):
        # Asked for now, so that a checkpoint later costs one request and no question before it.
        reader.service(SNAPSHOTS)
    info = ServerInfo(
        platform="hyperv",
        product=facts.product or "Hyper-V",
        version=facts.version or _version(identity),
        address=client.endpoint.host,
        port=client.endpoint.port,
        user=target.user,
    )
    names = target.options.get("destinations", "").replace(",", " ").split()
    return HypervHost(client, reader, clock, info, facts, tuple(dict.fromkeys(names)))


def _identify(client: WsmanClient) -> Identity:
    try:
        return client.identify()
    except BadReply as exc:
        said = exc.detail or exc.user_text
        raise NotAHypervisor("What answers there isn't Windows Remote Management.", said) from exc


def _version(identity: Identity) -> str:
    """ "10.0.20348" out of "OS: 10.0.20348 SP: 0.0 Stack: 3.0"."""
    words = identity.product.split()
    return words[words.index("OS:") + 1] if "OS:" in words[:-1] else ""


class HypervHost(Hypervisor):
    """One logged-in Hyper-V host."""

    def __init__(
        self,
        client: WsmanClient,
        reader: Reader,
        clock: Clock,
        info: ServerInfo,
        facts: HostFacts,
        destinations: tuple[str, ...] = (),
    ) -> None:
        self._client = client
        self._reader = reader
        self._clock = clock
        self._info = info
        self._jobs = Jobs(client, clock)
        self._power = PowerVerbs(reader, self._jobs, clock)
        self._life = LifeVerbs(reader, self._jobs, self._power, facts.server)
        self._move = MoveVerbs(reader, self._jobs, facts.server, client.endpoint.auth)
        self._snapshots = SnapshotVerbs(reader, self._jobs, self._power, clock, self._known)
        self._host = host_side.HostVerbs(reader, self._jobs)
        self._no_migration = self._move.why_no_migration()
        self._poller = Poller(
            reader, clock, info, facts, self._no_migration, () if self._no_migration else destinations
        )
        self._details = Details(reader, self._life, lambda: self._poller.inventory)
        self._host_id = ObjectId(facts.server)
        self._cpus = facts.cpus
        self._migrates = not self._no_migration

    @property
    def info(self) -> ServerInfo:
        return self._info

    @property
    def capabilities(self) -> Capability:
        found = _ALWAYS | Capability.MIGRATE if self._migrates else _ALWAYS
        return found if self._reader.knows_kinds else found & ~Capability.SNAPSHOT_QUIESCE

    @property
    def requests(self) -> int:
        """How many requests were sent so far; for benchmarks."""
        return self._client.counters.requests

    # ---- watching ------------------------------------------------------------------------------------------

    def watch(self, timeout_s: float) -> Inventory | None:
        return self._poller.watch(timeout_s)

    def refresh(self) -> None:
        self._poller.refresh()

    def nudge(self) -> None:
        self._poller.nudge()

    def close(self) -> None:
        self._client.close()
        self._jobs.close()
        self._poller.close()

    def diagnose(self) -> Iterator[Step]:
        return hyperv_diagnosis.checks(self._reader, self._clock, self._no_migration)

    # ---- ids -----------------------------------------------------------------------------------------------

    @staticmethod
    def _guid(object_id: ObjectId) -> str:
        """An id as the host writes it. What is no GUID cannot exist there."""
        if not wmi_query.is_guid(object_id):
            raise NotFound("That object doesn't exist on the host.", object_id[:100])
        return object_id.upper()

    def _known(self, guid: str) -> Vm | None:
        inventory = self._poller.inventory
        return inventory.vms.get(ObjectId(guid.lower())) if inventory is not None else None

    def _this_host(self, host_id: ObjectId) -> None:
        if host_id != self._host_id:
            raise NotFound("That host isn't the one this connection leads to.", host_id[:100])

    def _changing(self, vm_id: ObjectId, verb: Callable[[str], None]) -> None:
        """Run a verb on a VM and look at it afterwards, whatever came of it."""
        guid = self._guid(vm_id)
        self._poller.nudge()
        try:
            verb(guid)
        finally:
            self._poller.touch(guid)

    # ---- looking closer ------------------------------------------------------------------------------------

    def details(self, vm_id: ObjectId) -> VmDetails:
        return self._details.vm(self._guid(vm_id))

    def metrics(self, object_id: ObjectId, seconds: int = 600) -> Metrics:
        of_host = object_id == self._host_id
        return self._details.metrics(self._poller.samples(HOST if of_host else self._guid(object_id)), seconds)

    def network_map(self, host_id: ObjectId) -> NetworkMap:
        self._this_host(host_id)
        return self._details.network_map(host_id)

    def screenshot(self, vm_id: ObjectId) -> bytes:
        return self._details.screenshot(self._guid(vm_id))

    def console(self, vm_id: ObjectId) -> ConsoleAddress:
        guid = self._guid(vm_id)
        host = f"[{self._info.address}]" if ":" in self._info.address else self._info.address
        return ConsoleAddress(
            protocol="rdp",
            location=f"{host}:{_RDP_PORT}",
            note=f"On Windows: vmconnect.exe {self._info.address} -G {guid}. "
            f"With FreeRDP: xfreerdp /v:{host}:{_RDP_PORT} /pcb:{guid} /sec:nla",
        )

    # ---- power ---------------------------------------------------------------------------------------------

    def start(self, vm_id: ObjectId, ctx: TaskContext, *, host_id: ObjectId | None = None) -> None:
        if host_id is not None and host_id != self._host_id:
            raise NotSupported("A Hyper-V host starts its VMs on itself.")
        self._changing(vm_id, lambda guid: self._power.change(guid, Verb.START, ctx))

    def shutdown(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._changing(vm_id, lambda guid: self._power.shutdown(guid, ctx))

    def power_off(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._changing(vm_id, lambda guid: self._power.change(guid, Verb.POWER_OFF, ctx))

    def reboot(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._changing(vm_id, lambda guid: self._power.reboot(guid, ctx))

    def reset(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._changing(vm_id, lambda guid: self._power.change(guid, Verb.RESET, ctx))

    def suspend(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._changing(vm_id, lambda guid: self._power.change(guid, Verb.SUSPEND, ctx))

    def resume(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._changing(vm_id, lambda guid: self._power.change(guid, Verb.RESUME, ctx))

    def pause(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._changing(vm_id, lambda guid: self._power.change(guid, Verb.PAUSE, ctx))

    def unpause(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._changing(vm_id, lambda guid: self._power.change(guid, Verb.UNPAUSE, ctx))

    # ---- checkpoints ---------------------------------------------------------------------------------------

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
        guid = self._guid(vm_id)
        try:
            return self._snapshots.take(guid, name, description, ctx, memory=memory, quiesce=quiesce)
        finally:
            self._poller.touch(guid)

    def revert(self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext) -> None:
        checkpoint = self._guid(snapshot_id)
        self._changing(vm_id, lambda guid: self._snapshots.revert(guid, checkpoint, ctx))

    def delete_snapshot(
        self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext, *, children: bool = False
    ) -> None:
        checkpoint = self._guid(snapshot_id)
        self._changing(vm_id, lambda guid: self._snapshots.delete(guid, checkpoint, ctx, children=children))

    def find_snapshots(self, vm_id: ObjectId, name: str) -> SnapshotSearch:
        return self._snapshots.find(self._guid(vm_id), name)

    # ---- life ----------------------------------------------------------------------------------------------

    def creation_choices(self, host_id: ObjectId | None = None) -> CreationChoices:
        return self._life.choices(self._cpus)

    def create_vm(self, spec: CreateVm, ctx: TaskContext) -> ObjectId:
        if spec.host_id is not None:
            self._this_host(spec.host_id)
        try:
            return self._life.create(spec, ctx)
        finally:
            self._poller.touch()

    def delete_vm(self, vm_id: ObjectId, ctx: TaskContext, *, keep_disks: frozenset[ObjectId] = frozenset()) -> None:
        self._changing(vm_id, lambda guid: self._life.delete(guid, keep_disks, ctx))

    def rename(self, vm_id: ObjectId, name: str, ctx: TaskContext, *, description: str | None = None) -> None:
        self._changing(vm_id, lambda guid: self._life.rename(guid, name, ctx, description))

    def migrate(
        self, vm_id: ObjectId, host_id: ObjectId | None, ctx: TaskContext, *, storage_id: ObjectId | None = None
    ) -> None:
        """``host_id``: the computer name of the destination."""
        if storage_id is not None:
            raise self._unsupported("moving disks while migrating")
        if self._no_migration:
            raise NotSupported(self._no_migration)
        if host_id is None:
            raise InvalidInput("Choose a host.")
        self._changing(vm_id, lambda guid: self._move.migrate(guid, host_id, ctx))

    def export_vm(self, vm_id: ObjectId, path: Path, ctx: TaskContext, *, compress: bool = False) -> None:
        """``path``: a folder on the host (D:\\\\Exports) or a share; the VM gets a sub-folder of its name there."""
        if compress:
            raise InvalidInput("Hyper-V exports VMs as folders, which it doesn't compress.")
        self._changing(vm_id, lambda guid: self._move.export(guid, str(path), ctx))

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
        """``path``: an exported folder, or the .vmcx file in it, on the host."""
        if host_id is not None:
            self._this_host(host_id)
        if storage_id is not None:
            raise InvalidInput("Hyper-V imports a VM where its files are; copy the folder to that volume first.")
        try:
            return self._move.import_(str(path), name, network_id, ctx)
        finally:
            self._poller.touch()

    # ---- the host ------------------------------------------------------------------------------------------

    def host_info(self, host_id: ObjectId) -> HostDetails:
        self._this_host(host_id)
        return self._details.host(host_id)

    def host_reboot(self, host_id: ObjectId, ctx: TaskContext, *, force: bool = False) -> None:
        self._go_down(host_id, ctx, restart=True, force=force)

    def host_shutdown(self, host_id: ObjectId, ctx: TaskContext, *, force: bool = False) -> None:
        self._go_down(host_id, ctx, restart=False, force=force)

    def _go_down(self, host_id: ObjectId, ctx: TaskContext, *, restart: bool, force: bool) -> None:
        self._this_host(host_id)
        self._host.go_down(ctx, restart=restart, force=force)
