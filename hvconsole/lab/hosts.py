"""What happens to hosts: maintenance, reboot, power off, failure and repair. Same rules as ``power``."""

from __future__ import annotations

from hvconsole.lab import errors, lifecycle, power
from hvconsole.lab.objects import Host, HostState, Power, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.world import World

_MASTER_LINGERS_S = 0.3
"""A pool's master still answers the call that sends it down."""


def set_enabled(world: World, host_id: str, *, enabled: bool) -> None:
    """Let a host take new VMs, or not."""
    with world.lock:
        host = _alive(world, host_id)
        host.enabled = enabled
        if enabled:
            host.maintenance = False
        world.changed(host)


def evacuate(world: World, host_id: str, *, task: Task | None = None) -> None:
    """Migrate every guest away. Raises the first guest's refusal when one cannot go; nothing is moved then."""
    with world.lock:
        host = _alive(world, host_id)
        refusals = cannot_leave(world, host)
        if refusals:
            raise next(iter(refusals.values()))
    with world.operation(host, "evacuate", task) as job:
        world.misbehave(job, host, "evacuate")
        guests = world.vms_on(host_id)
        for number, vm in enumerate(guests):
            target = _best_target(world, vm, host)
            if target is None:
                raise errors.NoHost(vm.id, {})
            lifecycle.migrate(world, vm.id, target.id)
            world.progress(job, (number + 1) / len(guests))
            if job.cancel_requested:
                raise errors.Cancelled("cancelled", host_id)


def cannot_leave(world: World, host: Host) -> dict[str, errors.WorldError]:
    """Guests that could not be migrated away, with the reason."""
    found: dict[str, errors.WorldError] = {}
    with world.lock:
        for vm in world.vms_on(host.id):
            if _best_target(world, vm, host) is None:
                reasons = [
                    power.host_refusal(world, vm, other)
                    for other in world.hosts.values()
                    if other.site_id == host.site_id and other.id != host.id
                ]
                first = next((reason for reason in reasons if reason is not None), None)
                found[vm.id] = first or errors.NoHost(vm.id, {})
    return found


def _best_target(world: World, vm: Vm, source: Host) -> Host | None:
    with world.lock:
        fitting = [
            host
            for host in world.hosts.values()
            if host.site_id == source.site_id and host.id != source.id and power.host_refusal(world, vm, host) is None
        ]
        return max(fitting, key=lambda host: power.memory_free(world, host), default=None)


def enter_maintenance(world: World, host_id: str, *, task: Task | None = None) -> None:
    """Disable, evacuate, mark. Undone when a guest cannot leave."""
    set_enabled(world, host_id, enabled=False)
    try:
        evacuate(world, host_id, task=task)
    except errors.WorldError:
        set_enabled(world, host_id, enabled=True)
        raise
    with world.lock:
        host = world.host(host_id)
        host.maintenance = True
        world.changed(host)


def leave_maintenance(world: World, host_id: str) -> None:
    """Take new VMs again."""
    set_enabled(world, host_id, enabled=True)


def reboot(world: World, host_id: str, *, task: Task | None = None) -> None:
    """Reboot a host without guests; it is away for ``timing.host_reboot``. Returns when the reboot has begun."""
    _go_down(world, host_id, "host_reboot", HostState.REBOOTING, task)

    def back() -> None:
        host = world.hosts.get(host_id)
        if host is not None and host.state is HostState.REBOOTING:
            repair(world, host_id)

    world.later(max(world.timing.host_reboot, 2 * _MASTER_LINGERS_S), back)


def shutdown(world: World, host_id: str, *, task: Task | None = None) -> None:
    """Switch a host off (``repair`` switches it on)."""
    _go_down(world, host_id, "host_shutdown", HostState.OFF, task)


def _go_down(world: World, host_id: str, verb: str, state: HostState, task: Task | None) -> None:
    with world.lock:
        host = _alive(world, host_id)
        guests = world.vms_on(host_id)
        if guests:
            raise errors.InUse(host_id, guests[0].id)
    with world.operation(host, verb, task) as job:
        world.misbehave(job, host, verb)

        def down() -> None:
            host.state = state
            world.changed(host)

        is_master = world.sites[host.site_id].master_id == host.id
        world.later(_MASTER_LINGERS_S if is_master else 0.0, down)


def fail(world: World, host_id: str) -> None:
    """The host dies at once: its server and guests are silent, nobody has told the others."""
    with world.lock:
        host = world.host(host_id)
        host.state = HostState.FAILED
        world.changed(host)


def fail_master(world: World, site_id: str) -> str | None:
    """The pool's master dies; returns its id."""
    master_id = world.sites[site_id].master_id
    if master_id is not None:
        fail(world, master_id)
    return master_id


def repair(world: World, host_id: str) -> None:
    """A failed or switched-off host comes back, freshly booted: guests that ran on it are halted."""
    with world.lock:
        host = world.host(host_id)
        if host.state is HostState.UP:
            return
        host.state = HostState.UP
        host.booted = world.now()
        for vm in world.vms_on(host_id):
            if vm.power in (Power.RUNNING, Power.PAUSED):
                power.halt(world, vm)
        if host.maintenance is False:
            host.enabled = True
        for vm in world.vms.values():
            if vm.is_control_domain and vm.home_host_id == host_id:
                vm.power, vm.host_id, vm.started = Power.RUNNING, host_id, host.booted
                world.changed(vm)
        world.changed(host)


def become_master(world: World, site_id: str, host_id: str) -> None:
    """Make a member the leader of its pool."""
    with world.lock:
        site = world.sites[site_id]
        site.master_id = world.host(host_id).id
        world.changed(site)
        world.changed(world.host(host_id))


def _alive(world: World, host_id: str) -> Host:
    host = world.host(host_id)
    if host.state is not HostState.UP:
        raise errors.HostDown("the host does not answer", host_id)
    return host
