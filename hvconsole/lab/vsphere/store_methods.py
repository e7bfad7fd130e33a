"""Browsing datastores, and what is asked of them and of hosts without a change that the lab keeps. Any thread."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from hvconsole.lab.objects import Storage
from hvconsole.lab.tasks import Task
from hvconsole.lab.vsphere import files, host_more
from hvconsole.lab.vsphere.faults import SoapFault, gone
from hvconsole.lab.vsphere.soap import NS, Call, kind_of
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.vsphere.values import Array, Data, Ref, array, field, long, when

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service

_PATH = re.compile(r"\s*\[([^\]]+)\]\s*(.*)")


def _place(service: Service, call: Call) -> tuple[Storage, str]:
    """The datastore and folder of a path. Raises ``SoapFault``. The world's lock is held."""
    match = _PATH.fullmatch(call.text("datastorePath"))
    name, folder = (match[1], match[2].strip("/")) if match else ("", "")
    storage = next((one for one in service.tree.storages() if one.name == name), None)
    if storage is None:
        raise SoapFault("InvalidDatastore", f"Invalid datastore path '{call.text('datastorePath')}'.", name=name)
    found = files.listed(service.tree, storage)
    if folder and not any(file.path.startswith(folder + "/") for file in found):
        raise SoapFault("FileNotFound", f"File [{name}] {folder} was not found", file=f"[{name}] {folder}")
    return storage, folder


def _search(*, deep: bool) -> Method:
    def method(service: Service, call: Call, session: Session) -> str:
        with service.world.lock:
            if service.properties(call.this, session) is None:
                raise gone(call.this)
        spec = call.find("searchSpec")
        patterns = [one.text or "" for one in spec.findall(NS + "matchPattern")] if spec is not None else []
        # a query of a kind of file is named like the information about it
        kinds = frozenset(
            kind_of(one).replace("Query", "Info") for one in (spec.findall(NS + "query") if spec is not None else [])
        )

        def work(task: Task) -> None:
            with service.world.lock:
                storage, folder = _place(service, call)
                found = files.listed(service.tree, storage)
                places = [folder]
                for place in places if deep else ():
                    places += files.folders(found, place)
                results = [files.result(storage, place, found, patterns, kinds) for place in places]
                task.extra["answer"] = (
                    Array("HostDatastoreBrowserSearchResults", tuple(results)) if deep else results[0]
                )

        return service.task(call, call.this.id.partition("-")[2], work)

    return method


def _disk_uuid(service: Service, call: Call, session: Session) -> str:
    """As the first line of a disk's descriptor has it: two groups of eight pairs of digits."""
    match = _PATH.fullmatch(call.text("name"))
    with service.world.lock:
        found = files.find(service.tree, match[1], match[2]) if match else None
        if found is None:
            raise SoapFault(
                "InvalidDatastore", f"Invalid datastore path '{call.text('name')}'.", name=match[1] if match else ""
            )
        disk = found[1].disk if found[1] is not None else None
    if disk is None or disk.is_iso:
        raise SoapFault("FileNotFound", f"File {call.text('name')} was not found", file=call.text("name"))
    digits = "6000c29" + uuid.uuid5(uuid.NAMESPACE_OID, disk.id).hex[7:]
    pairs = [digits[at : at + 2] for at in range(0, 32, 2)]
    return field("returnval", " ".join(pairs[:8]) + "-" + " ".join(pairs[8:]))


def _store_changed(service: Service, call: Call, session: Session) -> str:
    service.require(call.this, "Datastore")
    return ""


def _config_target(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        hosts = service.tree.hosts()
        stores = array(
            "VirtualMachineDatastoreInfo",
            (
                Data(
                    "VirtualMachineDatastoreInfo",
                    name=one.name,
                    configurationTag=array("string", ()),
                    datastore=Data(
                        "DatastoreSummary",
                        datastore=Ref("Datastore", one.id),
                        name=one.name,
                        url=host_more.url(one),
                        capacity=long(one.size_bytes),
                        freeSpace=long(max(0, one.size_bytes - one.used_bytes)),
                        accessible=True,
                        type=host_more.STANDARD.get(one.kind, "VMFS"),
                    ),
                    capability=host_more.store_capability(one),
                    maxFileSize=long(1 << 46),
                    mode="readWrite",
                )
                for one in service.tree.storages()
            ),
        )
        networks = array(
            "VirtualMachineNetworkInfo",
            (
                Data(
                    "VirtualMachineNetworkInfo",
                    name=one.name,
                    configurationTag=array("string", ()),
                    network=Data(
                        "NetworkSummary", network=Ref("Network", one.id), name=one.name, accessible=True, ipPoolName=""
                    ),
                )
                for one in service.tree.networks()
            ),
        )
        return field(
            "returnval",
            Data(
                "ConfigTarget",
                numCpus=sum(host.sockets for host in hosts),
                numCpuCores=sum(host.cores for host in hosts),
                numNumaNodes=max((host.sockets for host in hosts), default=1),
                smcPresent=False,
                datastore=stores,
                network=networks,
                maxMemMBOptimalPerf=max((host.memory_bytes for host in hosts), default=0) >> 20,
            ),
        )


def _descriptors(service: Service, call: Call, session: Session) -> str:
    return field(
        "returnval",
        array(
            "VirtualMachineConfigOptionDescriptor",
            (
                Data(
                    "VirtualMachineConfigOptionDescriptor",
                    key=key,
                    description=text,
                    createSupported=True,
                    defaultConfigOption=key == "vmx-19",
                    runSupported=True,
                    upgradeSupported=True,
                )
                for key, text in (
                    ("vmx-13", "ESXi 6.5 and later"),
                    ("vmx-17", "ESXi 7.0 and later"),
                    ("vmx-19", "ESXi 7.0 U2 and later"),
                )
            ),
        ),
    )


def _uptime(service: Service, call: Call, session: Session) -> str:
    host = service.world.hosts[service.require(call.this, "HostSystem")]
    return field("returnval", long(max(0, int(service.world.now() - host.booted))))


def _date_time(service: Service, call: Call, session: Session) -> str:
    return field("returnval", when(service.world.now()))


def _nothing(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        if service.properties(call.this, session) is None:
            raise gone(call.this)
    return ""


STORE_METHODS: dict[str, Method] = {
    "SearchDatastore_Task": _search(deep=False),
    "SearchDatastoreSubFolders_Task": _search(deep=True),
    "QueryVirtualDiskUuid": _disk_uuid,
    "RefreshDatastore": _store_changed,
    "RefreshDatastoreStorageInfo": _store_changed,
    "QueryConfigTarget": _config_target,
    "QueryConfigOptionDescriptor": _descriptors,
    "RetrieveHardwareUptime": _uptime,
    "QueryDateTime": _date_time,
    "RescanAllHba": _nothing,
    "RescanVmfs": _nothing,
    "RefreshStorageSystem": _nothing,
    "RefreshNetworkSystem": _nothing,
    "RefreshServices": _nothing,
    "RefreshDateTimeSystem": _nothing,
    "RefreshFirewall": _nothing,
    "RefreshRuntime": _nothing,
    "RefreshStorageInfo": _nothing,
    "ReconfigureAutostart": _nothing,
    "GetAlarm": _nothing,
    "GetAlarmState": _nothing,
    "RetrieveEntityScheduledTask": _nothing,
    "FindExtension": _nothing,
}
"""Those that answer with nothing are asked for their effect on hardware, or for lists that are empty here."""
