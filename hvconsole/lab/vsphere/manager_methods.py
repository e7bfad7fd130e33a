"""Methods of singletons: cancelling tasks, measurements, what can be created, licences. Any thread."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from hvconsole.lab.objects import HostState, Power
from hvconsole.lab.vsphere.faults import SoapFault, gone
from hvconsole.lab.vsphere.managers import COUNTERS
from hvconsole.lab.vsphere.soap import NS, Call, number, reference
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.vsphere.values import Data, array, field, long, when
from hvconsole.lab.vsphere.vm_properties import GUESTS

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service

STEP_S = 20


def _cancel_task(service: Service, call: Call, session: Session) -> str:
    task = service.world.tasks.get(call.this.id)
    if task is None:
        raise gone(call.this)
    if not task.cancellable or task.done.is_set():
        raise SoapFault("InvalidState", "The task can't be canceled.")
    service.world.cancel(task)
    return ""


def _query_config_option(service: Service, call: Call, session: Session) -> str:
    guests = [
        Data(
            "GuestOsDescriptor",
            id=guest,
            family="windowsGuest" if guest.startswith("win") else "linuxGuest",
            fullName=name,
            supportedMaxCPUs=128,
            numSupportedPhysicalSockets=64,
            numSupportedCoresPerSocket=64,
            supportedMinMemMB=64,
            supportedMaxMemMB=6_128_640,
            recommendedMemMB=2048,
            recommendedColorDepth=16,
            supportedDiskControllerList=array("string", ("ParaVirtualSCSIController", "VirtualLsiLogicSASController")),
            recommendedSCSIController="ParaVirtualSCSIController",
            recommendedDiskController="ParaVirtualSCSIController",
            supportedNumDisks=60,
            recommendedDiskSizeMB=16384,
            recommendedCdromController="VirtualAHCIController",
            supportedEthernetCard=array("string", ("VirtualVmxnet3", "VirtualE1000e", "VirtualE1000")),
            recommendedEthernetCard="VirtualVmxnet3",
        )
        for guest, name in GUESTS
    ]
    option = Data(
        "VirtualMachineConfigOption",
        version="vmx-19",
        description="ESXi 7.0 U2 and later",
        guestOSDescriptor=array("GuestOsDescriptor", guests),
        guestOSDefaultIndex=0,
    )
    return field("returnval", option)


def _query_perf(service: Service, call: Call, session: Session) -> str:
    """Samples that look alive: a slow wave around a level that belongs to the object."""
    found: list[Data] = []
    now = int(time.time()) // STEP_S * STEP_S
    for spec in call.all("querySpec"):
        entity = reference(spec.find(NS + "entity"))
        if entity is None:
            continue
        with service.world.lock:
            if service.tree.kind(entity.id) is None:
                raise gone(entity)
            vm, host = service.world.vms.get(entity.id), service.world.hosts.get(entity.id)
            alive = (vm is not None and vm.power is Power.RUNNING) or (host is not None and host.state is HostState.UP)
        count = min(180, number(spec, "maxSample") or 180) if alive else 0
        moments = [now - STEP_S * back for back in range(count - 1, -1, -1)]
        wanted = [number(metric, "counterId") for metric in spec.findall(NS + "metricId")]
        series = [
            Data(
                "PerfMetricIntSeries",
                id=Data("PerfMetricId", counterId=key, instance=""),
                value=array("long", (long(_sample(entity.id, key, moment)) for moment in moments)),
            )
            for key, *_rest in COUNTERS
            if not wanted or key in wanted
        ]
        found.append(
            Data(
                "PerfEntityMetric",
                entity=entity,
                sampleInfo=array(
                    "PerfSampleInfo",
                    (Data("PerfSampleInfo", timestamp=when(moment), interval=STEP_S) for moment in moments),
                ),
                value=array("PerfMetricSeries", series if moments else ()),
            )
        )
    return field("returnval", array("PerfEntityMetricBase", found))


def _sample(moid: str, counter: int, moment: float) -> int:
    level = 300 + (hash((moid, counter)) % 3000)
    return max(0, min(9_900, int(level * (1 + 0.5 * math.sin(moment / 173 + counter)))))


def _provider(service: Service, call: Call, session: Session) -> str:
    entity = call.ref("entity")
    return field(
        "returnval",
        Data("PerfProviderSummary", entity=entity, currentSupported=True, summarySupported=True, refreshRate=STEP_S),
    )


def _available(service: Service, call: Call, session: Session) -> str:
    return field(
        "returnval", array("PerfMetricId", (Data("PerfMetricId", counterId=row[0], instance="") for row in COUNTERS))
    )


def _assigned_licences(service: Service, call: Call, session: Session) -> str:
    entity = call.text("entityId")
    with service.world.lock:
        known = any(host.id == entity for host in service.tree.hosts())
    given = service.managers.licences()[:1] if known else ()
    return field(
        "returnval",
        array(
            "LicenseAssignmentManagerLicenseAssignment",
            (Data("LicenseAssignmentManagerLicenseAssignment", entityId=entity, assignedLicense=one) for one in given),
        ),
    )


MANAGER_METHODS: dict[str, Method] = {
    "CancelTask": _cancel_task,
    "QueryConfigOption": _query_config_option,
    "QueryConfigOptionEx": _query_config_option,
    "QueryPerf": _query_perf,
    "QueryPerfProviderSummary": _provider,
    "QueryAvailablePerfMetric": _available,
    "QueryAssignedLicenses": _assigned_licences,
}
