"""Power verbs on VMs: checks, duration, effect. Each runs in the calling thread, as long as the timing says.

All functions raise ``errors.WorldError``; any thread; never call one with ``world.lock`` held. ``task`` is the task
under which the work runs (progress, cancel); without one it is not recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from hvconsole.lab import errors
from hvconsole.lab.objects import Host, HostState, Power, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.world import World

_ANY = tuple(Power)
LEGAL: dict[str, tuple[Power, ...]] = {
    "start": (Power.HALTED,),
    "shutdown": (Power.RUNNING,),
    "power_off": (Power.RUNNING, Power.PAUSED, Power.SUSPENDED),
    "reboot": (Power.RUNNING,),
    "reset": (Power.RUNNING, Power.PAUSED),
    "suspend": (Power.RUNNING, Power.PAUSED),
    "resume": (Power.SUSPENDED,),
    "pause": (Power.RUNNING,),
    "unpause": (Power.PAUSED,),
    "snapshot": _ANY,
    "snapshot_memory": (Power.RUNNING, Power.PAUSED, Power.SUSPENDED),
    "revert": _ANY,
    "delete_snapshot": _ANY,
    "clone": _ANY,
    "copy": _ANY,
    "export": _ANY,
    "delete": (Power.HALTED, Power.SUSPENDED),
    "migrate": _ANY,
    "rename": _ANY,
    "reconfigure": _ANY,
}
"""Verb → power states in which it is legal. Protocol servers whose platform is stricter check that themselves."""

TOGETHER = (frozenset({"clone", "copy", "export"}), frozenset({"snapshot", "snapshot_memory"}))
"""Verbs that may overlap with their like."""
NEVER_ON_TEMPLATES = frozenset(
    {
        "start",
        "shutdown",
        "power_off",
        "reboot",
        "reset",
        "suspend",
        "resume",
        "pause",
        "unpause",
        "snapshot",
        "snapshot_memory",
        "migrate",
    }
)
FORCEFUL = frozenset({"power_off", "reset"})
"""Verbs that cancel what is under way."""


def check(world: World, vm: Vm, verb: str) -> None:
    """Raise why ``verb`` is refused for ``vm`` now, in the order servers look: blocked, state, busy, kind."""
    with world.lock:
        if verb in vm.blocked:
            raise errors.Blocked(vm.id, verb, vm.blocked[verb])
        legal = LEGAL[verb]
        if vm.power not in legal:
            raise errors.BadState(vm.id, legal, vm.power)
        if vm.operations and verb not in FORCEFUL and not _overlaps(verb, vm.operations):
            raise errors.Busy(vm.id, dict(vm.operations))
        if vm.is_template and verb in NEVER_ON_TEMPLATES:
            raise errors.IsTemplate("is a template", vm.id)
        if vm.is_control_domain:
            raise errors.IsControlDomain("is a control domain", vm.id)


def _overlaps(verb: str, operations: dict[str, str]) -> bool:
    return any(verb in group and set(operations.values()) <= group for group in TOGETHER)


@contextmanager
def begun(world: World, vm_id: str, verb: str, task: Task | None) -> Iterator[tuple[Vm, Task]]:
    """Check and enter ``verb`` in one step, so that two callers cannot both pass the check."""
    with ExitStack() as stack:
        with world.lock:
            vm = world.vm(vm_id)
            check(world, vm, verb)
            if verb in FORCEFUL:
                for other in vm.operations:
                    if other in world.running:
                        world.cancel(world.running[other])
            job = stack.enter_context(world.operation(vm, verb, task))
        world.misbehave(job, vm, verb)
        yield vm, job


def host_refusal(world: World, vm: Vm, host: Host, storage_id: str | None = None) -> errors.WorldError | None:
    """Why ``vm`` could not run on ``host`` (with its disks on ``storage_id``), or None. The caller holds the lock."""
    if host.state is not HostState.UP:
        return errors.HostDown("the host does not answer", host.id)
    if not host.enabled or host.maintenance:
        return errors.HostDisabled("the host takes no VMs", host.id)
    for drive in vm.drives:
        disk = world.disks.get(drive.disk_id or "")
        if disk is None:
            continue
        storage = world.storages.get(disk.storage_id if disk.is_iso else storage_id or disk.storage_id)
        if storage is not None and host.id not in storage.host_ids:
            return errors.NotReachable(vm.id, storage.id)
    free = memory_free(world, host)
    if vm.host_id != host.id and vm.memory_bytes > free:
        return errors.NoMemory(host.id, vm.memory_bytes, free)
    return None


def memory_free(world: World, host: Host) -> int:
    """Free memory of a host in bytes."""
    with world.lock:
        used = sum(vm.memory_bytes for vm in world.vms.values() if vm.host_id == host.id)
    return max(0, host.memory_bytes - used)


def possible_hosts(world: World, vm_id: str) -> list[Host]:
    """Hosts on which the VM could be started now."""
    with world.lock:
        vm = world.vm(vm_id)
        return [
            host
            for host in world.hosts.values()
            if host.site_id == vm.site_id and host_refusal(world, vm, host) is None
        ]


def _choose_host(world: World, vm: Vm, host_id: str | None) -> Host:
    if host_id is not None:
        host = world.host(host_id)
        refusal = host_refusal(world, vm, host)
        if refusal is not None:
            raise refusal
        return host
    reasons: dict[str, str] = {}
    fitting: list[Host] = []
    for host in world.hosts.values():
        if host.site_id != vm.site_id:
            continue
        refusal = host_refusal(world, vm, host)
        if refusal is None:
            fitting.append(host)
        else:
            reasons[host.id] = str(refusal)
    if not fitting:
        raise errors.NoHost(vm.id, reasons)
    return next((host for host in fitting if host.id == vm.home_host_id), None) or max(
        fitting, key=lambda host: memory_free(world, host)
    )


def start(
    world: World, vm_id: str, *, host_id: str | None = None, paused: bool = False, task: Task | None = None
) -> None:
    """Power on. The guest is up ``timing.boot`` later."""
    with begun(world, vm_id, "start", task) as (vm, job):
        with world.lock:
            host = _choose_host(world, vm, host_id)
        world.work(job, world.timing.start)
        with world.lock:
            refusal = host_refusal(world, vm, host)
            if refusal is not None:
                raise refusal
            run_on(world, vm, host.id, paused=paused)


def run_on(world: World, vm: Vm, host_id: str, *, paused: bool = False) -> None:
    """The VM begins to run from nothing: what a start or reboot does. The lock is held by the caller."""
    vm.power = Power.PAUSED if paused else Power.RUNNING
    vm.host_id = host_id
    vm.suspended_on = None
    vm.started = world.now()
    vm.boots += 1
    for nic in vm.nics:
        nic.connected = True
    vm.guest.tools_running = False
    world.changed(vm)
    if not paused:
        _boot(world, vm)


def _boot(world: World, vm: Vm) -> None:
    boots = vm.boots

    def up() -> None:
        if vm.boots == boots and vm.power is Power.RUNNING and vm.guest.tools and vm.id in world.vms:
            vm.guest.tools_running = True
            for nic in vm.nics:
                if not nic.addresses and nic.network_id is not None:
                    nic.addresses = [world.new_lease()]
            world.changed(vm)

    world.later(world.timing.boot, up)


def halt(world: World, vm: Vm) -> None:
    """The VM stops running. The lock is held by the caller. Also what a guest does that shuts itself down."""
    vm.power = Power.HALTED
    vm.host_id = None
    vm.suspended_on = None
    vm.guest.tools_running = False
    vm.stunned = False
    world.changed(vm)


def shutdown(world: World, vm_id: str, *, task: Task | None = None) -> None:
    """Ask the guest to shut down and wait until it has."""
    with begun(world, vm_id, "shutdown", task) as (vm, job):
        _ask_guest(world, vm, job)
        with world.lock:
            halt(world, vm)


def reboot(world: World, vm_id: str, *, task: Task | None = None) -> None:
    """Ask the guest to reboot and wait until it is starting again."""
    with begun(world, vm_id, "reboot", task) as (vm, job):
        _ask_guest(world, vm, job)
        with world.lock:
            run_on(world, vm, vm.host_id or "")


def _ask_guest(world: World, vm: Vm, job: Task) -> None:
    with world.lock:
        if not vm.guest.tools_running:
            raise errors.NoTools("the guest has no running tools", vm.id)
        ignores = vm.guest.ignores_shutdown
    world.work(job, world.timing.shutdown)
    if ignores:
        raise errors.GuestIgnored("the guest did not react", vm.id)


def power_off(world: World, vm_id: str, *, task: Task | None = None) -> None:
    """Cut the power; drops a suspended VM's memory image. Cancels what is under way."""
    with begun(world, vm_id, "power_off", task) as (vm, job):
        world.work(job, world.timing.power_off)
        with world.lock:
            halt(world, vm)


def reset(world: World, vm_id: str, *, task: Task | None = None) -> None:
    """Press the reset button. Cancels what is under way."""
    with begun(world, vm_id, "reset", task) as (vm, job):
        world.work(job, world.timing.power_off)
        with world.lock:
            run_on(world, vm, vm.host_id or "")


def suspend(world: World, vm_id: str, *, task: Task | None = None) -> None:
    """Save the memory to storage and stop running."""
    with begun(world, vm_id, "suspend", task) as (vm, job):
        world.work(job, world.timing.suspend)
        with world.lock:
            vm.power = Power.SUSPENDED
            vm.suspended_on = vm.host_id
            vm.host_id = None
            vm.guest.tools_running = False
            world.changed(vm)


def resume(
    world: World, vm_id: str, *, host_id: str | None = None, paused: bool = False, task: Task | None = None
) -> None:
    """Go on from the saved memory; tools are there at once."""
    with begun(world, vm_id, "resume", task) as (vm, job):
        with world.lock:
            host = _choose_host(world, vm, host_id)
        world.work(job, world.timing.resume)
        with world.lock:
            vm.power = Power.PAUSED if paused else Power.RUNNING
            vm.host_id = host.id
            vm.suspended_on = None
            vm.guest.tools_running = vm.guest.tools
            world.changed(vm)


def pause(world: World, vm_id: str, *, task: Task | None = None) -> None:
    """Freeze in memory."""
    with begun(world, vm_id, "pause", task) as (vm, _job), world.lock:
        vm.power = Power.PAUSED
        world.changed(vm)


def unpause(world: World, vm_id: str, *, task: Task | None = None) -> None:
    """Thaw; a VM that was started paused begins to boot now."""
    with begun(world, vm_id, "unpause", task) as (vm, _job), world.lock:
        vm.power = Power.RUNNING
        world.changed(vm)
        if vm.guest.tools and not vm.guest.tools_running:
            _boot(world, vm)


def pull_cable(world: World, vm_id: str, device: str | None = None) -> None:
    """Pull the network cable of one card (all cards if ``device`` is None)."""
    _set_cable(world, vm_id, device, plugged=False)


def plug_cable(world: World, vm_id: str, device: str | None = None) -> None:
    """Plug the network cable in again."""
    _set_cable(world, vm_id, device, plugged=True)


def _set_cable(world: World, vm_id: str, device: str | None, *, plugged: bool) -> None:
    with world.lock:
        vm = world.vm(vm_id)
        for nic in vm.nics:
            if device in (None, nic.device):
                nic.plugged = plugged
        world.changed(vm)
