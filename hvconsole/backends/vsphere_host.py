"""Hosts: what is known about one, its network map, maintenance, reboot, shutdown. Verb and question threads."""

from __future__ import annotations

import contextlib
import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from hvconsole.backends.base import TaskContext
from hvconsole.backends.vsphere_api import vim
from hvconsole.backends.vsphere_devices import distributed_switches, network_names, nics_of, read_one
from hvconsole.backends.vsphere_hardware import devices
from hvconsole.backends.vsphere_names import shown_name
from hvconsole.backends.vsphere_places import compute_of, free_memory, host_record, takes_vms
from hvconsole.backends.vsphere_records import (
    NS,
    Reader,
    Record,
    child_text,
    flag,
    guest_nics,
    moment,
    number,
    read_child,
    references,
    text,
    typed_references,
    word,
)
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_tasks import LOST_S, read_records, run_task
from hvconsole.errors import HostUnavailable, HvError, NotFound, OutcomeUnknown, Refused
from hvconsole.model import HostDetails, HostNic, NetworkLink, NetworkMap, Nic, ObjectId
from hvconsole.text import format_bytes, format_duration, safe_text

_LISTED = 8
"""Names of VMs that are named in a refusal."""
GOING_DOWN_S = 5.0
"""An ESXi host that was told to go down and is silent for so long is going down: nobody is left to say so."""


def host_nics(element: ET.Element) -> tuple[HostNic, ...]:
    """``config.network.pnic``."""
    found = []
    for card in element:
        link = card.find(NS + "linkSpeed")
        found.append(
            HostNic(
                name=child_text(card, "device"),
                mac=child_text(card, "mac"),
                link_up=link is not None,
                speed_mbps=None if link is None else read_child(link, "speedMb", number),
            )
        )
    return tuple(found)


def kernel_nics(element: ET.Element) -> tuple[HostNic, ...]:
    """``config.network.vnic``: the host's own addresses."""
    found = []
    for card in element:
        spec = card.find(NS + "spec")
        ip = None if spec is None else spec.find(NS + "ip")
        found.append(
            HostNic(
                name=child_text(card, "device"),
                mac="" if spec is None else child_text(spec, "mac"),
                network=child_text(card, "portgroup"),
                address="" if ip is None else child_text(ip, "ipAddress"),
                netmask="" if ip is None else child_text(ip, "subnetMask"),
                management=child_text(card, "device") in ("vmk0", "vswif0"),
            )
        )
    return tuple(found)


def port_groups(element: ET.Element) -> tuple[tuple[str, str, int | None], ...]:
    """``config.network.portgroup``: (name, switch, VLAN)."""
    found = []
    for group in element:
        spec = group.find(NS + "spec")
        if spec is not None:
            vlan = read_child(spec, "vlanId", number)
            found.append((child_text(spec, "name"), child_text(spec, "vswitchName"), vlan))
    return tuple(found)


def switches(element: ET.Element) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """``config.network.vswitch``: (name, keys of its physical cards)."""
    return tuple(
        (child_text(switch, "name"), tuple(card.text for card in switch.findall(NS + "pnic") if card.text))
        for switch in element
    )


def proxy_switches(element: ET.Element) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """``config.network.proxySwitch``: (UUID of a distributed switch, keys of its physical cards)."""
    return tuple(
        (child_text(switch, "dvsUuid"), tuple(card.text for card in switch.findall(NS + "pnic") if card.text))
        for switch in element
    )


def _child(name: str, reader: Reader) -> Reader:
    return lambda element: read_child(element, name, reader)


_INFO: Mapping[str, Mapping[str, Reader]] = {
    "HostSystem": {
        "name": text,
        "summary.hardware.vendor": text,
        "summary.hardware.model": text,
        "summary.hardware.cpuModel": text,
        "summary.hardware.cpuMhz": number,
        "summary.hardware.numCpuPkgs": number,
        "summary.hardware.numCpuCores": number,
        "summary.hardware.numCpuThreads": number,
        "summary.hardware.memorySize": number,
        "summary.hardware.numNics": number,
        "summary.quickStats.overallCpuUsage": number,
        "summary.quickStats.overallMemoryUsage": number,
        "summary.quickStats.uptime": number,
        "summary.config.product.fullName": text,
        "summary.managementServerIp": text,
        "runtime.bootTime": moment,
        "runtime.connectionState": word,
        "runtime.inMaintenanceMode": flag,
        "config.network.pnic": host_nics,
        "config.network.vnic": kernel_nics,
        "datastore": references,
    }
}
_NETWORK: Mapping[str, Mapping[str, Reader]] = {
    "HostSystem": {
        "config.network.pnic": host_nics,
        "config.network.vnic": kernel_nics,
        "config.network.portgroup": port_groups,
        "config.network.vswitch": switches,
        "config.network.proxySwitch": proxy_switches,
        "network": typed_references,
        "vm": references,
    }
}
_VM_CARDS: Mapping[str, Mapping[str, Reader]] = {
    "VirtualMachine": {"config.hardware.device": devices, "guest.net": guest_nics}
}
_RUNNING: Mapping[str, Mapping[str, Reader]] = {
    "VirtualMachine": {"name": text, "runtime.powerState": word, "config.managedBy": _child("extensionKey", word)}
}
AGENT_MANAGER = "com.vmware.vim.eam"
"""What the VMs of vSphere's own services (vCLS, NSX …) belong to: it takes them off a host that is emptied, and lets
nobody else move or stop them."""


def host_info(session: Session, host_id: ObjectId, now: dt.datetime) -> HostDetails:
    """Cards, storages, licence and facts of one host."""
    record = read_one(session, "HostSystem", host_id, _INFO)
    cards = (*record.get("config.network.vnic", ()), *record.get("config.network.pnic", ()))
    return HostDetails(
        host_id=host_id,
        nics=cards,
        storages=tuple(ObjectId(store) for store in record.get("datastore", ())),
        licence=host_licence(session, host_id) or licence_names(session),
        facts=_facts(record, now),
    )


def _facts(record: Record, now: dt.datetime) -> tuple[tuple[str, str], ...]:
    booted = record.get("runtime.bootTime")
    uptime = record.get("summary.quickStats.uptime") or (
        None if booted is None else max(0.0, (now - booted).total_seconds())
    )
    used = record.get("summary.quickStats.overallMemoryUsage")
    mhz, busy = record.get("summary.hardware.cpuMhz"), record.get("summary.quickStats.overallCpuUsage")
    rows = (
        (
            "Model",
            " ".join(
                p for p in (record.get("summary.hardware.vendor", ""), record.get("summary.hardware.model", "")) if p
            ),
        ),
        ("Version", record.get("summary.config.product.fullName", "")),
        ("CPU model", record.get("summary.hardware.cpuModel", "")),
        ("CPU speed", "" if mhz is None else f"{mhz} MHz"),
        ("CPU sockets", str(record.get("summary.hardware.numCpuPkgs", ""))),
        ("CPU cores", str(record.get("summary.hardware.numCpuCores", ""))),
        ("CPU threads", str(record.get("summary.hardware.numCpuThreads", ""))),
        ("CPU usage", "" if busy is None else f"{busy} MHz"),
        ("Memory", format_bytes(record.get("summary.hardware.memorySize"))),
        ("Memory used", "" if used is None else format_bytes(used << 20)),
        ("Network cards", str(record.get("summary.hardware.numNics", ""))),
        ("Uptime", "" if uptime is None else format_duration(float(uptime))),
        ("State", record.get("runtime.connectionState", "")),
        ("Maintenance mode", "yes" if record.get("runtime.inMaintenanceMode") else "no"),
        ("Managed by vCenter", record.get("summary.managementServerIp", "")),
    )
    return tuple((label, value) for label, value in rows if value and value != "—")


_LICENCES: Mapping[str, Mapping[str, Reader]] = {
    "LicenseManager": {"licenses": lambda element: tuple(dict.fromkeys(child_text(one, "name") for one in element))}
}
_ASSIGNMENTS: Mapping[str, Mapping[str, Reader]] = {"LicenseManager": {"licenseAssignmentManager": word}}


def host_licence(session: Session, host_id: ObjectId) -> str:
    """Name of the licence that a vCenter gave a host; empty where it can't be asked."""
    manager = session.content.licenseManager
    if manager is None or not session.is_vcenter:
        return ""
    try:
        record = read_one(session, "LicenseManager", manager._moId, _ASSIGNMENTS)
        moid = record.get("licenseAssignmentManager", "")
        if not moid:
            return ""
        assignments = session.object(vim.LicenseAssignmentManager, moid)
        given = session.read(lambda: assignments.QueryAssignedLicenses(host_id))
    except HvError:
        return ""
    names = (str(one.assignedLicense.name or "") for one in given or () if one.assignedLicense is not None)
    return ", ".join(dict.fromkeys(name for name in names if name))


def licence_names(session: Session) -> str:
    """Names of the server's licences; empty where this user may not see them. Never the keys."""
    manager = session.content.licenseManager
    if manager is None:
        return ""
    try:
        record = read_one(session, "LicenseManager", manager._moId, _LICENCES)
    except HvError:
        return ""
    return ", ".join(name for name in record.get("licenses", ()) if name)


def network_map(session: Session, host_id: ObjectId) -> NetworkMap:
    """Physical card → network → VM card, for every network of a host."""
    record = read_one(session, "HostSystem", host_id, _NETWORK)
    physical = {f"key-vim.host.PhysicalNic-{card.name}": card for card in record.get("config.network.pnic", ())}
    uplinks = {
        name: tuple(physical[key] for key in keys if key in physical)
        for name, keys in record.get("config.network.vswitch", ())
    }
    # A host's own configuration has names as people know them, the inventory has them escaped.
    distributed = {
        switch: tuple(physical[key] for key in keys if key in physical)
        for switch, keys in record.get("config.network.proxySwitch", ())
    }
    ports: dict[str, tuple[str, str]] = {}
    with contextlib.suppress(NotFound):  # a port group that goes at this moment takes the cards of the others along
        ports = distributed_switches(
            session, [one for kind, one in record.get("network", ()) if kind == "DistributedVirtualPortgroup"]
        )
    groups = {shown_name(name): (switch, vlan) for name, switch, vlan in record.get("config.network.portgroup", ())}
    own: dict[str, tuple[HostNic, ...]] = {}
    for card in record.get("config.network.vnic", ()):
        own[shown_name(card.network)] = (*own.get(shown_name(card.network), ()), card)
    attached: dict[str, list[tuple[ObjectId, Nic]]] = {}
    for vm in read_records(session, [("VirtualMachine", one) for one in record.get("vm", ())], _VM_CARDS):
        devices_of, reported = vm.get("config.hardware.device", ()), vm.get("guest.net", ())
        for nic in nics_of(session, devices_of, reported, record.get("network", ())):
            attached.setdefault(nic.network_id or nic.network, []).append((ObjectId(vm.id), nic))
    links = []
    for network in network_names(session, record.get("network", ())):
        name = shown_name(network.get("name", ""))
        switch, vlan = groups.get(name, ("", None))
        cards = tuple(
            HostNic(name=c.name, mac=c.mac, network=name, link_up=c.link_up, speed_mbps=c.speed_mbps, vlan=vlan or None)
            for c in (distributed.get(ports[network.id][1], ()) if network.id in ports else uplinks.get(switch, ()))
        )
        vms = (*attached.get(network.id, ()), *attached.get(name, ()))
        links.append(
            NetworkLink(
                network_id=ObjectId(network.id),
                network=name,
                host_nics=(*cards, *own.get(name, ())),
                vm_nics=vms,
            )
        )
    return NetworkMap(host_id=host_id, links=tuple(links))


# ---- verbs -----------------------------------------------------------------------------------------------------


def _host(session: Session, host_id: ObjectId) -> Any:
    return session.object(vim.HostSystem, host_id)


def running_vms(session: Session, host_id: ObjectId) -> list[tuple[ObjectId, str]]:
    """(id, name) of the VMs that run on a host, asked afresh; without the agents, which are the server's business."""
    vms = host_record(session, host_id).get("vm", ())
    return [
        (ObjectId(vm.id), shown_name(vm.get("name", "")))
        for vm in read_records(session, [("VirtualMachine", one) for one in vms], _RUNNING)
        if vm.get("runtime.powerState") == "poweredOn" and vm.get("config.managedBy") != AGENT_MANAGER
    ]


def _listed(vms: list[tuple[ObjectId, str]]) -> str:
    names = ", ".join(f"“{safe_text(name, 60)}”" for _id, name in vms[:_LISTED])
    return f"{names} and {len(vms) - _LISTED} more" if len(vms) > _LISTED else names


def enter_maintenance(session: Session, host_id: ObjectId, ctx: TaskContext) -> None:
    """Move the running VMs to other hosts of the cluster, then enter. Refused when they have nowhere to go.

    Without that the server would wait for ever for somebody to move them.
    """
    running = running_vms(session, host_id)
    if running:
        _evacuate(session, host_id, running, ctx)
    host = _host(session, host_id)
    run_task(session, ctx, lambda: host.EnterMaintenanceMode_Task(0, False, None))


def _evacuate(session: Session, host_id: ObjectId, running: list[tuple[ObjectId, str]], ctx: TaskContext) -> None:
    compute = compute_of(session, host_id)
    others = [host_record(session, one) for one in compute.host_ids if one != host_id]
    fit = sorted((host for host in others if takes_vms(host)), key=free_memory, reverse=True)
    if not fit:
        raise HostUnavailable(
            f"These VMs run on it and there is no other host to move them to: {_listed(running)}. Shut them down first."
        )
    for position, (vm_id, name) in enumerate(running):
        ctx.raise_if_cancelled()
        ctx.progress(position / (len(running) + 1), f"Moving “{safe_text(name, 60)}”")
        target = fit[position % len(fit)]
        spec = vim.vm.RelocateSpec(host=_host(session, ObjectId(target.id)))
        vm = session.object(vim.VirtualMachine, vm_id)
        run_task(session, ctx, lambda vm=vm, spec=spec: vm.RelocateVM_Task(spec))  # type: ignore[misc]


def leave_maintenance(session: Session, host_id: ObjectId, ctx: TaskContext) -> None:
    """Accept VMs again."""
    host = _host(session, host_id)
    run_task(session, ctx, lambda: host.ExitMaintenanceMode_Task(0))


def power(session: Session, host_id: ObjectId, ctx: TaskContext, *, reboot: bool, force: bool) -> None:
    """Restart a host or switch it off. Running VMs: refused with their names, or shut down hard when forced."""
    running = running_vms(session, host_id)
    if running and not force:
        words = f"These VMs run on the host: {_listed(running)}. Shut them down or move them first."
        raise Refused(words, code="running")
    for position, (vm_id, name) in enumerate(running):
        ctx.progress(position / (len(running) + 1), f"Powering off “{safe_text(name, 60)}”")
        run_task(session, ctx, session.object(vim.VirtualMachine, vm_id).PowerOffVM_Task)
    host = _host(session, host_id)
    # "force" here means: although it is not in maintenance mode. No VM runs there any more.
    ask = host.RebootHost_Task if reboot else host.ShutdownHost_Task
    accepted = False

    def send() -> Any:
        nonlocal accepted
        task = ask(True)
        accepted = True
        return task

    try:
        run_task(session, ctx, send, cancellable=False, lost_s=LOST_S if session.is_vcenter else GOING_DOWN_S)
    except OutcomeUnknown:
        if session.is_vcenter or not accepted:
            raise
        # An ESXi host that goes down takes its own management service, and the task, with it.
