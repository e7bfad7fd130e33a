"""What govc and Ansible do to the inventory of the lab's vCenter: folders, pools, attributes, followed lists."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

import pytest

from hvconsole.lab.objects import Power
from hvconsole.lab.sites import Identity
from tests.backends.vsphere_lab import VsphereLab, vsphere_lab
from tests.lab.vsphere_soap import XSI, Soap, V, until_done, wrong


@pytest.fixture
def lab(lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity) as running:
        yield running


@pytest.fixture
def soap(lab: VsphereLab) -> Iterator[Soap]:
    client = Soap(lab)
    yield client
    client.connection.close()


def folder_of_vms(soap: Soap, lab: VsphereLab) -> str:
    """The datacenter's own folder of VMs."""
    center = soap.read("Folder", soap.root(), "childEntity")["childEntity"][0].text or ""
    return soap.read("Datacenter", center, "vmFolder")["vmFolder"].text or ""


def run(soap: Soap, lab: VsphereLab, method: str, kind: str, moid: str, inner: str = "") -> str:
    """Run a task to its end; the class of its fault, empty when it succeeded."""
    task = soap.one(method, kind, moid, inner).text or ""
    until_done(lab, task)
    info = soap.read("Task", task, "info")["info"]
    fault = info.find(f"{V}error/{V}fault")
    return "" if fault is None else fault.get(XSI) or ""


class TestFolders:
    def test_life_of_a_folder(self, soap: Soap, lab: VsphereLab) -> None:
        top = folder_of_vms(soap, lab)
        made = soap.one("CreateFolder", "Folder", top, "<name>New%2fone</name>").text or ""
        inner = soap.one("CreateFolder", "Folder", made, "<name>inner</name>").text or ""
        assert soap.read("Folder", made, "name")["name"].text == "New%2fone"
        assert soap.read("Folder", inner, "parent")["parent"].text == made
        with pytest.raises(LookupError, match="DuplicateName"):
            soap.call("CreateFolder", "Folder", top, "<name>New%2fone</name>")
        with pytest.raises(LookupError, match="InvalidName"):
            soap.call("CreateFolder", "Folder", top, "<name> </name>")
        vm = lab.vm("sandbox-zh")
        moved = f'<list type="VirtualMachine">{vm.id}</list>'
        assert not run(soap, lab, "MoveIntoFolder_Task", "Folder", inner, moved)
        assert soap.read("VirtualMachine", vm.id, "parent")["parent"].text == inner
        assert not run(soap, lab, "Rename_Task", "Folder", made, "<newName>renamed</newName>")
        assert run(soap, lab, "Destroy_Task", "Folder", made) == "ResourceInUse"
        assert not run(soap, lab, "MoveIntoFolder_Task", "Folder", top, moved + f'<list type="Folder">{inner}</list>')
        assert soap.read("Folder", inner, "parent")["parent"].text == top
        assert not run(soap, lab, "MoveIntoFolder_Task", "Folder", made, f'<list type="Folder">{inner}</list>')
        assert not run(soap, lab, "Destroy_Task", "Folder", made)
        with pytest.raises(LookupError, match="ManagedObjectNotFound"):
            soap.read("Folder", inner, "name")

    def test_other_folders_and_clusters(self, soap: Soap, lab: VsphereLab) -> None:
        center = soap.read("Folder", soap.root(), "childEntity")["childEntity"][0].text or ""
        hosts = soap.read("Datacenter", center, "hostFolder")["hostFolder"].text or ""
        made = soap.one("CreateFolder", "Folder", hosts, "<name>x</name>").text or ""
        inner = soap.one("CreateFolder", "Folder", made, "<name>y</name>").text or ""
        assert soap.read("Folder", made, "parent")["parent"].text == hosts
        assert soap.read("Folder", inner, "parent")["parent"].text == made
        assert [one.text for one in soap.read("Folder", inner, "childType")["childType"]] == [
            "Folder",
            "ComputeResource",
        ]
        top = soap.one("CreateFolder", "Folder", soap.root(), "<name>z</name>").text or ""
        assert soap.read("Folder", top, "parent")["parent"].text == soap.root()
        cluster = soap.one("CreateClusterEx", "Folder", hosts, "<name>C9</name><spec/>").text or ""
        assert soap.read("ClusterComputeResource", cluster, "summary.numHosts")["summary.numHosts"].text == "0"
        assert not run(soap, lab, "Destroy_Task", "ClusterComputeResource", cluster)
        with pytest.raises(LookupError, match="NotSupported"):
            soap.call("CreateClusterEx", "Folder", top, "<name>C9</name><spec/>")

    def test_only_vms_are_moved(self, soap: Soap, lab: VsphereLab) -> None:
        host = soap.everything_below("HostSystem")[0].findtext(f"{V}obj")
        with pytest.raises(LookupError, match="NotSupported"):
            soap.call(
                "MoveIntoFolder_Task", "Folder", folder_of_vms(soap, lab), f'<list type="HostSystem">{host}</list>'
            )

    def test_datacenters_and_pools(self, soap: Soap, lab: VsphereLab) -> None:
        made = soap.one("CreateDatacenter", "Folder", soap.root(), "<name>DC9</name>").text or ""
        assert soap.read("Datacenter", made, "vmFolder")
        assert not run(soap, lab, "Destroy_Task", "Datacenter", made)
        first = soap.read("Folder", soap.root(), "childEntity")["childEntity"][0].text or ""
        assert run(soap, lab, "Destroy_Task", "Datacenter", first) == "ResourceInUse"
        pool = soap.everything_below("ResourcePool")[0].findtext(f"{V}obj") or ""
        inner = soap.one("CreateResourcePool", "ResourcePool", pool, "<name>p1</name><spec/>").text or ""
        problems: set[str] = set()
        for name, value in soap.read("ResourcePool", inner).items():
            wrong(value, name, problems)
        assert not problems
        assert not run(soap, lab, "Destroy_Task", "ResourcePool", inner)


def test_attributes(soap: Soap, lab: VsphereLab) -> None:
    vm = lab.vm("sandbox-zh")
    manager = ("CustomFieldsManager", "CustomFieldsManager")
    key = soap.one("AddCustomFieldDef", *manager, "<name>owner</name>").findtext(f"{V}key")
    with pytest.raises(LookupError, match="DuplicateName"):
        soap.call("AddCustomFieldDef", *manager, "<name>owner</name>")
    entity = f'<entity type="VirtualMachine">{vm.id}</entity>'
    soap.call("SetField", *manager, f"{entity}<key>{key}</key><value>me &amp; you</value>")

    def values() -> list[str | None]:
        return [one.findtext(f"{V}value") for one in soap.read("VirtualMachine", vm.id, "customValue")["customValue"]]

    assert values() == ["me & you"]
    soap.call("setCustomValue", "VirtualMachine", vm.id, "<key>owner</key><value>they</value>")
    assert values() == ["they"]
    soap.call("RenameCustomFieldDef", *manager, f"<key>{key}</key><name>boss</name>")
    with pytest.raises(LookupError, match="InvalidArgument"):
        soap.call("setCustomValue", "VirtualMachine", vm.id, "<key>owner</key><value>x</value>")
    soap.call("setCustomValue", "VirtualMachine", vm.id, "<key>boss</key><value/>")
    assert values() == []
    soap.call("RemoveCustomFieldDef", *manager, f"<key>{key}</key>")
    with pytest.raises(LookupError, match="InvalidArgument"):
        soap.call("SetField", *manager, f"{entity}<key>{key}</key><value>x</value>")
    with pytest.raises(LookupError, match="ManagedObjectNotFound"):
        soap.call("SetField", *manager, f'<entity type="VirtualMachine">none</entity><key>{key}</key><value>x</value>')


def test_settings_of_the_file(soap: Soap, lab: VsphereLab) -> None:
    vm = lab.vm("sandbox-zh")

    def change(key: str, value: str) -> str:
        return run(
            soap,
            lab,
            "ReconfigVM_Task",
            "VirtualMachine",
            vm.id,
            f"<spec><extraConfig><key>{key}</key><value>{escape(value)}</value></extraConfig></spec>",
        )

    def shown() -> dict[str | None, str | None]:
        found = soap.read("VirtualMachine", vm.id, "config.extraConfig")["config.extraConfig"]
        return {one.findtext(f"{V}key"): one.findtext(f"{V}value") for one in found}

    assert not change("guestinfo.x", "y")
    assert shown()["guestinfo.x"] == "y"
    assert not change("guestinfo.x", "")
    assert "guestinfo.x" not in shown()


def test_a_list_that_changes_is_followed(soap: Soap, lab: VsphereLab) -> None:
    """govc's ``tasks`` puts the tasks that it hears of into a list whose filter it waits for."""
    view = soap.one("CreateListView", "ViewManager", "ViewManager").text or ""
    soap.one(
        "CreateFilter",
        "PropertyCollector",
        "propertyCollector",
        "<spec><propSet><type>VirtualMachine</type><pathSet>name</pathSet></propSet>"
        f'<objectSet><obj type="ListView">{view}</obj><skip>true</skip><selectSet xsi:type="TraversalSpec">'
        "<name>v</name><type>ListView</type><path>view</path></selectSet></objectSet></spec>"
        "<partialUpdates>false</partialUpdates>",
    )

    def wait(version: str) -> list[tuple[str | None, str | None]]:
        found = soap.call(
            "WaitForUpdatesEx",
            "PropertyCollector",
            "propertyCollector",
            f"<version>{version}</version><options><maxWaitSeconds>0</maxWaitSeconds></options>",
        )
        return [
            (one.findtext(f"{V}kind"), one.findtext(f"{V}obj"))
            for answer in found
            for one in answer.iter(f"{V}objectSet")
        ]

    assert wait("") == []
    one, two = lab.vm("shop-01").id, lab.vm("shop-02").id
    soap.call("ResetListView", "ListView", view, f'<obj type="VirtualMachine">{one}</obj>')
    assert wait("") == [("enter", one)]
    soap.call(
        "ModifyListView",
        "ListView",
        view,
        f'<add type="VirtualMachine">{two}</add><remove type="VirtualMachine">{one}</remove>',
    )
    assert sorted(wait("1")) == [("enter", two), ("leave", one)]


def test_odds_and_ends_of_vms_and_hosts(soap: Soap, lab: VsphereLab) -> None:
    running = next(vm for vm in lab.world.vms.values() if vm.power is Power.RUNNING and vm.site_id == lab.site.id)
    halted = lab.vm("sandbox-zh")
    assert not run(soap, lab, "UpgradeVM_Task", "VirtualMachine", halted.id)
    assert run(soap, lab, "UpgradeVM_Task", "VirtualMachine", running.id) == "InvalidPowerState"
    assert run(soap, lab, "CreateScreenshot_Task", "VirtualMachine", halted.id) == "InvalidPowerState"
    task = soap.one("CreateScreenshot_Task", "VirtualMachine", running.id).text or ""
    until_done(lab, task)
    assert (soap.read("Task", task, "info.result")["info.result"].text or "").endswith(".png")
    soap.call("MountToolsInstaller", "VirtualMachine", running.id)
    with pytest.raises(LookupError, match="InvalidPowerState"):
        soap.call("MountToolsInstaller", "VirtualMachine", halted.id)
    keys = "<spec><keyEvents><usbHidCode>1</usbHidCode></keyEvents></spec>"
    assert soap.one("PutUsbScanCodes", "VirtualMachine", running.id, keys).text == "1"
    host = soap.everything_below("HostSystem")[0].findtext(f"{V}obj") or ""

    def state() -> str | None:
        return soap.read("HostSystem", host, "runtime.connectionState")["runtime.connectionState"].text

    assert not run(soap, lab, "DisconnectHost_Task", "HostSystem", host)
    assert state() == "disconnected"
    assert not run(soap, lab, "ReconnectHost_Task", "HostSystem", host)
    assert state() == "connected"
    problems: set[str] = set()
    nics = soap.one(
        "QueryNetConfig", "HostVirtualNicManager", f"virtualNicManager-{host}", "<nicType>vmotion</nicType>"
    )
    wrong(nics, "nics", problems)
    assert nics.find(f"{V}selectedVnic") is not None
    for one in soap.call("QueryPerfCounterByLevel", "PerformanceManager", "PerformanceManager", "<level>1</level>"):
        wrong(one, "counter", problems)
    some = soap.call("QueryPerfCounter", "PerformanceManager", "PerformanceManager", "<counterId>2</counterId>")
    assert [one.findtext(f"{V}key") for one in some] == ["2"]
    assert not problems
    assert (
        soap.one(
            "DoesCustomizationSpecExist", "CustomizationSpecManager", "CustomizationSpecManager", "<name>x</name>"
        ).text
        == "false"
    )
    cluster = soap.everything_below("ClusterComputeResource")[0].findtext(f"{V}obj") or ""
    assert not run(soap, lab, "ReconfigureComputeResource_Task", "ClusterComputeResource", cluster, "<spec/>")


def test_disks_of_leases_are_at_the_port_that_was_asked(soap: Soap, lab: VsphereLab) -> None:
    lease = soap.one("ExportVm", "VirtualMachine", lab.vm("sandbox-zh").id).text or ""
    info = soap.read("HttpNfcLease", lease, "info")["info"]
    assert (info.findtext(f"{V}deviceUrl/{V}url") or "").startswith(f"https://*:{lab.port}/nfc/")
