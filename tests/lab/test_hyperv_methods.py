"""Every documented method of Hyper-V's services is there: done, or refused with a return value that clients know."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from xml.sax.saxutils import escape

import pytest

from hvconsole.lab import Lab
from hvconsole.lab.hyperv import HypervServer, naming
from hvconsole.lab.sites import Identity
from tests.lab.test_hyperv_service import V2, A, Host, W

SERVICES = {
    "Msvm_VirtualSystemManagementService": "vmms",
    "Msvm_VirtualSystemSnapshotService": "vssnapsvc",
    "Msvm_ImageManagementService": "vhdsvc",
    "Msvm_VirtualEthernetSwitchManagementService": "nvspwmi",
}


@pytest.fixture
def server(lab_identity: Identity) -> Iterator[HypervServer]:
    with Lab(kinds=("hyperv",), identity=lab_identity) as lab:
        first = lab.site_servers[0]
        assert isinstance(first, HypervServer)
        yield first


@pytest.fixture
def host(server: HypervServer) -> Host:
    return Host(server)


def epr(class_name: str, **keys: str) -> str:
    """A reference as a parameter's content."""
    chosen = "".join(f'<w:Selector Name="{name}">{escape(value)}</w:Selector>' for name, value in keys.items())
    return (
        f'<a:Address xmlns:a="{A}"/><a:ReferenceParameters xmlns:a="{A}"><w:ResourceURI xmlns:w="{W}">'
        f'{V2}/{class_name}</w:ResourceURI><w:SelectorSet xmlns:w="{W}">{chosen}</w:SelectorSet>'
        "</a:ReferenceParameters>"
    )


def instance(class_name: str, **values: object) -> str:
    """An embedded instance as a parameter's content."""
    rows = "".join(
        f'<PROPERTY NAME="{name}" TYPE="string"><VALUE>{escape(str(value))}</VALUE></PROPERTY>'
        for name, value in values.items()
    )
    return escape(f'<INSTANCE CLASSNAME="{class_name}">{rows}</INSTANCE>')


def invoke(host: Host, service: str, method: str, **parameters: str) -> dict[str, str]:
    """The out-parameters of a call, after its job; "fault" is the code of a fault."""
    uri = f"{V2}/{service}"
    inside = "".join(f"<p:{name}>{value}</p:{name}>" for name, value in parameters.items())
    answer = host.ask(
        f"{uri}/{method}",
        uri,
        f'<p:{method}_INPUT xmlns:p="{uri}">{inside}</p:{method}_INPUT>',
        {
            "CreationClassName": service,
            "Name": SERVICES[service],
            "SystemCreationClassName": "Msvm_ComputerSystem",
            "SystemName": "HV-ZRH-1",
        },
    )
    if not answer[0].tag.endswith("_OUTPUT"):
        return {"fault": hex(host.code(answer))}
    job = answer[0].find(f"{{{uri}}}Job")
    key = None if job is None else job.findtext(f".//{{{W}}}Selector[@Name='InstanceID']")
    if key:
        host.server.jobs.all()
        finished(host, key)
    return {child.tag.rpartition("}")[2]: child.text or ET.tostring(child, "unicode") for child in answer[0]}


def finished(host: Host, key: str) -> None:
    """Wait until a job is done."""
    job = next(one for one in host.server.jobs.all() if one.id == key)
    assert job.task.done.wait(10)


def test_what_is_not_modelled_is_refused_as_a_host_would(host: Host) -> None:
    for service, methods in {
        "Msvm_VirtualSystemManagementService": ("AddKvpItems", "AddFeatureSettings", "TestNetworkConnection"),
        "Msvm_VirtualSystemSnapshotService": ("ConvertToReferencePoint",),
        "Msvm_ImageManagementService": ("AttachVirtualHardDisk", "MergeVirtualHardDisk"),
        "Msvm_VirtualEthernetSwitchManagementService": ("AddResourceSettings",),
    }.items():
        for method in methods:
            assert invoke(host, service, method, Anything="x") == {"ReturnValue": "32770"}
    assert invoke(host, "Msvm_ImageManagementService", "NoSuchThing") == {"fault": "0x80041055"}


def test_disks_are_resized_checked_and_converted(host: Host, server: HypervServer) -> None:
    images = "Msvm_ImageManagementService"
    disk = next(one for one in server.world.disks.values() if one.site_id == server.site.id and not one.is_iso)
    path = escape(naming.disk_path(disk))
    before = disk.size_bytes
    assert (
        invoke(host, images, "ResizeVirtualHardDisk", Path=path, MaxInternalSize=str(before * 2))["ReturnValue"]
        == "4096"
    )
    assert disk.size_bytes == before * 2
    assert invoke(host, images, "ResizeVirtualHardDisk", Path=path, MaxInternalSize="1")["ReturnValue"] == "32773"
    for method in ("CompactVirtualHardDisk", "ValidateVirtualHardDisk"):
        assert invoke(host, images, method, Path=path)["ReturnValue"] == "4096"
    assert invoke(host, images, "ValidateVirtualHardDisk", Path="C:\\none.vhdx")["ReturnValue"] == "32779"
    copy = "D:\\copies\\one.vhdx"
    wanted = instance("Msvm_VirtualHardDiskSettingData", Path=copy, Type=2, Format=3)
    assert (
        invoke(host, images, "ConvertVirtualHardDisk", SourcePath=path, VirtualDiskSettingData=wanted)["ReturnValue"]
        == "4096"
    )
    made = invoke(host, images, "GetVirtualHardDiskSettingData", Path=copy)
    assert made["ReturnValue"] == "0"
    assert f"<VALUE>{before * 2}</VALUE>" in made["SettingData"]
    assert (
        invoke(host, images, "ConvertVirtualHardDisk", SourcePath=path, VirtualDiskSettingData=wanted)["ReturnValue"]
        == "32774"
    )


def test_odds_and_ends_of_vms(host: Host, server: HypervServer) -> None:
    machines = "Msvm_VirtualSystemManagementService"
    off, on = (server.world.vm_named(name) for name in ("zrh-test01", "zrh-web01"))
    settings = epr("Msvm_VirtualSystemSettingData", InstanceID=naming.settings_id(on))
    assert int(invoke(host, machines, "GetSizeOfSystemFiles", Vssd=settings)["Size"]) > 50_000

    def system(guid: str) -> str:
        return epr("Msvm_ComputerSystem", CreationClassName="Msvm_ComputerSystem", Name=guid)

    assert invoke(host, machines, "UpgradeSystemVersion", ComputerSystem=system(off.id))["ReturnValue"] == "4096"
    assert invoke(host, machines, "UpgradeSystemVersion", ComputerSystem=system(on.id))["ReturnValue"] == "32775"
    assert invoke(host, machines, "ModifyServiceSettings", SettingData="x")["ReturnValue"] == "0"
    error = instance("Msvm_Error", Message="It <failed>.")
    assert invoke(host, machines, "FormatError", Errors=error)["ErrorMessage"] == "It <failed>."
    snapshots = "Msvm_VirtualSystemSnapshotService"
    assert invoke(host, snapshots, "ClearSnapshotState", SnapshotSettingData=settings)["ReturnValue"] == "32773"
    taken = next(one for one in server.world.snapshots.values() if one.site_id == server.site.id)
    kept = epr("Msvm_VirtualSystemSettingData", InstanceID=naming.settings_id(taken))
    assert invoke(host, snapshots, "ClearSnapshotState", SnapshotSettingData=kept)["ReturnValue"] == "4096"
    assert taken.power == "halted"


def test_life_of_a_switch(host: Host, server: HypervServer) -> None:
    switches = "Msvm_VirtualEthernetSwitchManagementService"
    named = instance("Msvm_VirtualEthernetSwitchSettingData", ElementName="private <1>")
    made = invoke(host, switches, "DefineSystem", SystemSettings=named)
    guid = ET.fromstring(made["ResultingSystem"]).findtext(f".//{{{W}}}Selector[@Name='Name']") or ""
    assert (
        invoke(host, switches, "DefineSystem", SystemSettings=instance("Msvm_VirtualEthernetSwitchSettingData"))[
            "ReturnValue"
        ]
        == "32773"
    )
    changed = instance("Msvm_VirtualEthernetSwitchSettingData", InstanceID=f"Microsoft:{guid}", ElementName="other")
    assert invoke(host, switches, "ModifySystemSettings", SystemSettings=changed)["ReturnValue"] == "0"
    assert len(host.query("SELECT * FROM Msvm_VirtualEthernetSwitch WHERE ElementName = 'other'")) == 1
    nic = server.world.vm_named("zrh-test01").nics[0]
    nic.network_id = guid.lower()
    gone = epr("Msvm_VirtualEthernetSwitch", CreationClassName="Msvm_VirtualEthernetSwitch", Name=guid)
    assert invoke(host, switches, "DestroySystem", AffectedSystem=gone)["ReturnValue"] == "0"
    assert nic.network_id is None
    assert invoke(host, switches, "DestroySystem", AffectedSystem=gone) == {"fault": "0x80338000"}
