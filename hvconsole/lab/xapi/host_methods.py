"""host.* and pool.*: maintenance, reboot, emergency recoveries, facts."""

from __future__ import annotations

from typing import Any

from hvconsole.lab import hosts, power
from hvconsole.lab.objects import HostState
from hvconsole.lab.xapi import dispatch, refs
from hvconsole.lab.xapi.dispatch import Call, message
from hvconsole.lab.xapi.failures import Failure, from_world
from hvconsole.lab.xapi.values import NULL, Date, date


@message("host.disable", "host", "~b")
def disable(call: Call, ref: str, _auto_enable: bool = True) -> None:
    """No new VMs."""
    hosts.set_enabled(call.pool.world, call.pool.host(ref).id, enabled=False)


@message("host.enable", "host")
def enable(call: Call, ref: str) -> None:
    """Take VMs again."""
    hosts.set_enabled(call.pool.world, call.pool.host(ref).id, enabled=True)


@message("host.evacuate", "host", "~network?", "~i")
def evacuate(call: Call, ref: str, _network: str = NULL, _batch: int = 0) -> None:
    """Migrate everything away."""
    world, host = call.pool.world, call.pool.host(ref)
    with world.lock:
        stuck = hosts.cannot_leave(world, host)
        if stuck:
            reasons = (from_world(error, call.pool.ref_of).description for error in stuck.values())
            raise Failure("CANNOT_EVACUATE_HOST", "|".join(";".join(words) for words in reasons))
    hosts.evacuate(world, host.id, task=call.task)


@message("host.assert_can_evacuate", "host")
def assert_can_evacuate(call: Call, ref: str) -> None:
    """Raise what evacuate would."""
    world, host = call.pool.world, call.pool.host(ref)
    stuck = hosts.cannot_leave(world, host)
    if stuck:
        reasons = (from_world(error, call.pool.ref_of).description for error in stuck.values())
        raise Failure("CANNOT_EVACUATE_HOST", "|".join(";".join(words) for words in reasons))


@message("host.get_vms_which_prevent_evacuation", "host")
def get_vms_which_prevent_evacuation(call: Call, ref: str) -> dict[str, list[str]]:
    """VM → error."""
    stuck = hosts.cannot_leave(call.pool.world, call.pool.host(ref))
    return {call.pool.ref_of(vm_id): from_world(error, call.pool.ref_of).description for vm_id, error in stuck.items()}


@message("host.get_server_certificate", "host")
def get_server_certificate(call: Call, ref: str) -> str:
    """The certificate that the host presents, in PEM form."""
    call.pool.host(ref)
    return call.pool.certificate_pem


@message("host.get_uncooperative_resident_VMs", "host")
def get_uncooperative(_call: Call, _ref: str) -> list[str]:
    """All guests co-operate."""
    return []


@message("host.reboot", "host")
def reboot(call: Call, ref: str) -> None:
    """Reboot a disabled, empty host."""
    hosts.reboot(call.pool.world, _leaving(call, ref), task=call.task)


@message("host.shutdown", "host")
def shutdown(call: Call, ref: str) -> None:
    """Switch a disabled, empty host off."""
    hosts.shutdown(call.pool.world, _leaving(call, ref), task=call.task)


def _leaving(call: Call, ref: str) -> str:
    host = call.pool.host(ref)
    if host.enabled:
        raise Failure("HOST_NOT_DISABLED")
    return host.id


@message("host.power_on", "host")
def power_on(call: Call, ref: str) -> None:
    """Switch a host on."""
    hosts.repair(call.pool.world, call.pool.host(ref).id)


@message("host.restart_agent", "host")
def restart_agent(call: Call, ref: str) -> None:
    """Restart the toolstack: sessions and tasks are gone."""
    call.pool.host(ref)
    call.pool.restart_toolstack()


@message("host.is_in_emergency_mode")
def is_in_emergency_mode(call: Call) -> bool:
    """Asked of the host one talks to."""
    return call.pool.in_emergency(call.member)


@message("host.get_servertime", "host")
def get_servertime(call: Call, ref: str) -> Date:
    """The host's clock."""
    call.pool.host(ref)
    return date(call.pool.world.now())


@message("host.get_server_localtime", "host")
def get_server_localtime(call: Call, ref: str) -> Date:
    """The host's clock in its time zone (UTC here), without a zone."""
    return Date(get_servertime(call, ref).rstrip("Z"))


@message("host.compute_free_memory", "host")
def compute_free_memory(call: Call, ref: str) -> int:
    """Bytes."""
    return power.memory_free(call.pool.world, call.pool.host(ref))


@message("host.compute_memory_overhead", "host")
def compute_memory_overhead(_call: Call, _ref: str) -> int:
    """Bytes."""
    return 1 << 30


@message("host.get_management_interface", "host")
def get_management_interface(call: Call, ref: str) -> str:
    """The card with the management address."""
    with call.pool.world.lock:
        for row in call.pool.db.rows("PIF"):
            if row.fields["host"] == ref and row.fields["management"]:
                return row.ref
    return NULL


@message("host.list_methods")
def list_methods(_call: Call) -> list[str]:
    """All messages."""
    return dispatch.all_methods()


@message("host.get_system_status_capabilities", "host")
def get_system_status_capabilities(_call: Call, _ref: str) -> str:
    """An XML text."""
    return '<?xml version="1.0" ?><system-status-capabilities></system-status-capabilities>'


@message("host.call_plugin", "host", "s", "s", "{}")
def call_plugin(_call: Call, _ref: str, plugin: str, function: str, _arguments: dict[str, Any]) -> str:
    """No plug-ins are installed."""
    raise Failure("XENAPI_MISSING_PLUGIN", plugin, function)


@message("host.has_extension", "host", "s")
def has_extension(_call: Call, _ref: str, _name: str) -> bool:
    """No extensions."""
    return False


@message("host.dmesg", "host")
def dmesg(_call: Call, _ref: str) -> str:
    """The hypervisor's log."""
    return "(XEN) Xen version 4.17.5 (lab)\n"


# ---- pool ------------------------------------------------------------------------------------------------


@message("pool.emergency_transition_to_master")
def emergency_transition_to_master(call: Call) -> None:
    """This host becomes the master."""
    pool = call.pool
    with pool.world.lock:
        if not pool.is_slave(call.member):
            raise Failure("HOST_ITS_OWN_MASTER")
        call.member.master_id = call.member.host_id
        hosts.become_master(pool.world, pool.site.id, call.member.host_id)
        pool.restart_toolstack()


@message("pool.emergency_reset_master", "s")
def emergency_reset_master(call: Call, address: str) -> None:
    """This host follows the master at ``address``."""
    pool = call.pool
    with pool.world.lock:
        master = next((member for member in pool.members.values() if member.address == address), None)
        if master is None:
            raise Failure("HOST_MASTER_CANNOT_TALK_BACK", address)
        call.member.master_id = master.host_id


@message("pool.recover_slaves")
def recover_slaves(call: Call) -> list[str]:
    """Tell every member that is alive and lost who leads now; the hosts that were told."""
    pool = call.pool
    told = []
    with pool.world.lock:
        for member in pool.members.values():
            host = pool.member_host(member)
            if host.state is HostState.UP and pool.in_emergency(member):
                member.master_id = call.member.host_id
                told.append(refs.ref(host))
    return told


@message("pool.designate_new_master", "host")
def designate_new_master(call: Call, ref: str) -> None:
    """Hand over the lead."""
    pool = call.pool
    with pool.world.lock:
        host = pool.host(ref)
        hosts.become_master(pool.world, pool.site.id, host.id)
        for member in pool.members.values():
            member.master_id = host.id
        pool.restart_toolstack()


@message("pool.ping_slave")
def ping_slave(_call: Call) -> None:
    """Anybody there?"""


@message("pool.sync_database")
def sync_database(_call: Call) -> None:
    """Nothing to write anywhere."""


@message("pool.get_license_state", "pool")
def get_license_state(_call: Call, _ref: str) -> dict[str, str]:
    """Licence of the pool."""
    return {"edition": "xcp-ng", "expiry": "never"}


@message("pool.has_extension", "pool", "s")
def pool_has_extension(_call: Call, _ref: str, _name: str) -> bool:
    """No extensions."""
    return False
