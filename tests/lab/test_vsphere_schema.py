"""Every answer of the lab's vSphere servers against the API's schema, and the calls that libvirt's drivers make.

Typed clients (libvirt, PowerCLI, the Java and .NET libraries) refuse an object that lacks a required field, and read
fields in the schema's order; pyVmomi knows both of every class.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

import pytest
from pyVmomi import VmomiSupport

from hvconsole.lab import power
from hvconsole.lab.objects import Power
from hvconsole.lab.sites import Identity
from hvconsole.lab.vsphere.property_names import NAMES
from tests.backends.vsphere_lab import VsphereLab, vsphere_lab
from tests.lab.vsphere_soap import XSI, Soap, V, until_done, wrong


@pytest.fixture(params=[False, True], ids=["vcenter", "esxi"])
def lab(request: pytest.FixtureRequest, lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity, esxi=request.param) as running:
        yield running


@pytest.fixture
def soap(lab: VsphereLab) -> Iterator[Soap]:
    client = Soap(lab)
    yield client
    client.connection.close()


class TestSchema:
    def test_every_object_of_the_inventory(self, soap: Soap) -> None:
        found: set[str] = set()
        seen = set()
        for one in soap.everything_below():
            kind = one.find(f"{V}obj").get("type") or ""  # type: ignore[union-attr]
            seen.add(kind)
            given = {each.findtext(f"{V}name") for each in one.findall(f"{V}propSet")}
            schema: Any = VmomiSupport.GetWsdlType("urn:vim25", kind)
            found.update(
                f"{kind}.{each.name} is required"
                for each in schema._GetPropertyList()
                if not each.flags & VmomiSupport.F_OPTIONAL and each.name not in given and not each.name.endswith("Ex")
            )
            for each in one.findall(f"{V}propSet/{V}val"):
                wrong(each, kind, found)
        assert not found
        assert {
            "VirtualMachine",
            "HostSystem",
            "Datastore",
            "Network",
            "Folder",
            "Datacenter",
            "ResourcePool",
            "ComputeResource",
        } <= seen

    def test_content_and_every_manager(self, soap: Soap) -> None:
        found: set[str] = set()
        content = soap.one("RetrieveServiceContent", "ServiceInstance", "ServiceInstance")
        wrong(content, "content", found)
        for one in content:
            kind = one.get("type")
            if kind in NAMES and kind != "Folder":
                for name, value in soap.read(kind, one.text or "").items():
                    wrong(value, f"{kind}.{name}", found)
        host = next(one for one in soap.everything_below("HostSystem"))
        managers = next(
            one.find(f"{V}val") for one in host.findall(f"{V}propSet") if one.findtext(f"{V}name") == "configManager"
        )
        assert managers is not None
        for one in managers:
            for name, value in soap.read(one.get("type") or "", one.text or "").items():
                wrong(value, f"{one.get('type')}.{name}", found)
        assert not found

    def test_tasks_and_events(self, soap: Soap, lab: VsphereLab) -> None:
        vm = next(
            one
            for one in lab.world.vms.values()
            if one.power is Power.HALTED and not one.is_template and one.site_id == lab.site.id
        )
        task = soap.one("PowerOnVM_Task", "VirtualMachine", vm.id)
        found: set[str] = set()
        wrong(soap.read("Task", task.text or "", "info")["info"], "task", found)
        log = soap.one("CreateCollectorForEvents", "EventManager", "EventManager", "<filter/>")
        page = soap.read("EventHistoryCollector", log.text or "", "latestPage")["latestPage"]
        assert page[0].get(XSI) == "VmPoweredOnEvent"
        wrong(page, "event", found)
        assert not found

    def test_only_names_that_no_server_knows_are_refused(self, soap: Soap, lab: VsphereLab) -> None:
        vm = next(one for one in lab.world.vms.values() if one.site_id == lab.site.id)
        for kind, moid in (("VirtualMachine", vm.id), ("Folder", soap.root())):
            names = [*NAMES[kind], *NAMES["ManagedEntity"]]
            assert soap.read(kind, moid, *names)["name"] is not None
        answer = soap.one(
            "RetrieveProperties",
            "PropertyCollector",
            "propertyCollector",
            "<specSet><propSet><type>VirtualMachine</type><pathSet>nonsense</pathSet></propSet>"
            f'<objectSet><obj type="VirtualMachine">{vm.id}</obj></objectSet></specSet>',
        )
        assert answer.find(f"{V}missingSet/{V}fault/{V}fault").get(XSI) == "InvalidProperty"  # type: ignore[union-attr]


class TestVersions:
    """A client's version goes with every request, and nothing that it can't know comes back (virt-who speaks 5.0)."""

    @pytest.mark.parametrize(
        ("action", "known"),
        [
            ("urn:vim25/5.0", False),
            ('"urn:vim25/6.7"', False),
            ("urn:vim25/7.0", False),
            ("urn:vim25/7.0.2.0", True),
            ("urn:vim25/8.0.1.0", True),
            ("urn:vim25/9.abc.build", True),
            ("", True),
            ("urn:vim25/", True),
        ],
    )
    def test_fields_that_are_newer_than_the_client(self, soap: Soap, action: str, known: bool) -> None:
        soap.headers["SOAPAction"] = action
        content = soap.one("RetrieveServiceContent", "ServiceInstance", "ServiceInstance")
        assert (content.find(f"{V}about/{V}patchLevel") is not None) == known
        assert content.find(f"{V}about/{V}instanceUuid") is not None

    def test_fields_that_are_newer_than_the_server(self, lab_identity: Identity) -> None:
        with vsphere_lab(lab_identity, release="6.5") as old:
            soap = Soap(old)
            soap.headers["SOAPAction"] = "urn:vim25/8.0.1.0"
            content = soap.one("RetrieveServiceContent", "ServiceInstance", "ServiceInstance")
            assert content.find(f"{V}about/{V}patchLevel") is None
            soap.connection.close()


class TestLibvirt:
    """As libvirt's esx:// and vpx:// go through a server."""

    def test_a_traversal_gives_only_what_was_asked_of(self, soap: Soap) -> None:
        """The start is not skipped, but nothing was asked of folders."""
        found = soap.call(
            "RetrieveProperties",
            "PropertyCollector",
            "propertyCollector",
            "<specSet><propSet><type>Datacenter</type><pathSet>name</pathSet></propSet><objectSet>"
            f'<obj type="Folder">{soap.root()}</obj><skip>false</skip>'
            '<selectSet xsi:type="TraversalSpec">'
            "<name>folderToChildEntity</name><type>Folder</type><path>childEntity</path><skip>false</skip>"
            "</selectSet></objectSet></specSet>",
        )
        assert {one.find(f"{V}obj").get("type") for one in found} == {"Datacenter"}  # type: ignore[union-attr]

    def test_elements_of_lists_name_their_type(self, soap: Soap) -> None:
        children = soap.read("Folder", soap.root(), "childEntity", "childType")
        assert {one.get(XSI) for one in children["childEntity"]} == {"ManagedObjectReference"}
        assert {one.get(XSI) for one in children["childType"]} == {"xsd:string"}

    def test_ids_of_vms_are_numbers_and_uuids_are_not_ids(self, soap: Soap, lab: VsphereLab) -> None:
        vms = soap.everything_below("VirtualMachine")
        for one in vms:
            moid = one.findtext(f"{V}obj") or ""
            assert moid.removeprefix("vm-").isdigit()
            assert moid.startswith("vm-") == (lab.site.flavour != "esxi")
        uuid = soap.read("VirtualMachine", moid, "config.uuid")["config.uuid"].text
        found = soap.one("FindByUuid", "SearchIndex", "SearchIndex", f"<uuid>{uuid}</uuid><vmSearch>true</vmSearch>")
        assert found.text == moid

    def test_files_of_a_vm(self, soap: Soap, lab: VsphereLab) -> None:
        vm = next(one for one in lab.world.vms.values() if one.drives and one.site_id == lab.site.id)
        path = soap.read("VirtualMachine", vm.id, "config.files.vmPathName")["config.files.vmPathName"].text or ""
        store, _, file = path.removeprefix("[").partition("] ")
        place = f"/folder/{file.replace('/', '%2F')}?dcPath=ha-datacenter&dsName={store}"
        assert soap.get(place)[0] == 401
        basic = "Basic " + base64.b64encode(f"{lab.site.user}:{lab.site.password}".encode()).decode()
        assert soap.get(place, Authorization="Basic eDp5")[0] == 401
        assert soap.get(place, Authorization="Basic %%%")[0] == 401
        status, _kind, body = soap.get(place, Authorization=basic)
        assert status == 200
        assert f'displayName = "{vm.name}"' in body.decode()
        assert soap.get(place, "HEAD", **soap.headers)[0] == 200
        assert soap.get("/folder?dcPath=x&dsName=nowhere", Authorization=basic)[0] == 404
        assert soap.get(f"/folder/none?dcPath=x&dsName={store}", Authorization=basic)[0] == 404
        listing = soap.get(f"/folder/{file.partition('/')[0]}?dsName={store}", Authorization=basic)[2].decode()
        assert file.rpartition("/")[2] in listing
        assert store in soap.get("/folder", Authorization=basic)[2].decode()

    def test_screens(self, soap: Soap, lab: VsphereLab) -> None:
        vm = next(one for one in lab.world.vms.values() if one.power is Power.RUNNING and one.site_id == lab.site.id)
        assert soap.get(f"/screen?id={vm.id}", **soap.headers)[1:2] == ("image/png",)
        power.power_off(lab.world, vm.id)
        assert soap.get(f"/screen?id={vm.id}", **soap.headers)[0] == 404

    def test_browsing_a_datastore(self, soap: Soap, lab: VsphereLab) -> None:
        vm = next(one for one in lab.world.vms.values() if one.drives and one.site_id == lab.site.id)
        disk = next(lab.world.disks[one.disk_id] for one in vm.drives if one.disk_id in lab.world.disks)
        store = lab.world.storages[disk.storage_id]
        browser = soap.read("Datastore", store.id, "browser")["browser"].text or ""
        spec = '<searchSpec><query xsi:type="VmDiskFileQuery"/><matchPattern>*.vmdk</matchPattern></searchSpec>'

        def search(place: str, method: str) -> ET.Element:
            task = soap.one(method, "HostDatastoreBrowser", browser, f"<datastorePath>{place}</datastorePath>{spec}")
            until_done(lab, task.text or "")
            return soap.read("Task", task.text or "", "info")["info"]

        found = search(f"[{store.name}]", "SearchDatastoreSubFolders_Task")
        folders = {
            one.findtext(f"{V}folderPath"): [file.get(XSI) for file in one.findall(f"{V}file")]
            for one in found.findall(f"{V}result/{V}HostDatastoreBrowserSearchResults")
        }
        assert folders[f"[{store.name}] {disk.id}/"] == ["VmDiskFileInfo"]
        problems: set[str] = set()
        wrong(found, "info", problems)
        assert not problems
        one = search(f"[{store.name}] {disk.id}", "SearchDatastore_Task").find(f"{V}result")
        assert one is not None
        assert len(one.findall(f"{V}file")) == 1
        lost = search(f"[{store.name}] nowhere", "SearchDatastore_Task")
        assert lost.find(f"{V}error/{V}fault").get(XSI) == "FileNotFound"  # type: ignore[union-attr]
        shown = one.find(f"{V}file")
        assert shown is not None
        assert shown.findtext(f"{V}capacityKb") == str(disk.size_bytes // 1024)
        path = f"<name>[{store.name}] {disk.id}/{shown.findtext(f'{V}path')}</name>"
        key = soap.one("QueryVirtualDiskUuid", "VirtualDiskManager", "VirtualDiskManager", path).text or ""
        assert re.fullmatch("60 00 c2 9. .. .. .. ..-.. .. .. .. .. .. .. ..", key)
        with pytest.raises(LookupError, match="FileNotFound"):
            soap.call(
                "QueryVirtualDiskUuid",
                "VirtualDiskManager",
                "VirtualDiskManager",
                f"<name>[{store.name}] {disk.id}/none.vmdk</name>",
            )
        lost = search("[none]", "SearchDatastore_Task")
        assert lost.find(f"{V}error/{V}fault").get(XSI) == "InvalidDatastore"  # type: ignore[union-attr]


class TestSearch:
    def test_by_path_name_and_address(self, soap: Soap, lab: VsphereLab) -> None:
        vm = next(
            one
            for one in lab.world.vms.values()
            if one.site_id == lab.site.id and one.guest.tools_running and one.nics and one.nics[0].addresses
        )

        def find(method: str, inner: str) -> list[str]:
            return [one.text or "" for one in soap.call(method, "SearchIndex", "SearchIndex", inner)]

        path = path_of(soap, vm.id)
        assert find("FindByInventoryPath", f"<inventoryPath>{escape(path)}</inventoryPath>") == [vm.id]
        assert find("FindByInventoryPath", "<inventoryPath>/no/such/thing</inventoryPath>") == []
        address = vm.nics[0].addresses[0]
        machine = "<vmSearch>true</vmSearch>"
        assert find("FindByIp", f"<ip>{address}</ip>{machine}") == [vm.id]
        assert find("FindAllByIp", f"<ip>{address}</ip>{machine}") == [vm.id]
        assert find("FindByDnsName", f"<dnsName>{vm.guest.hostname}</dnsName>{machine}") == [vm.id]
        assert find("FindAllByDnsName", "<dnsName>nobody</dnsName><vmSearch>false</vmSearch>") == []
        file = soap.read("VirtualMachine", vm.id, "config.files.vmPathName")["config.files.vmPathName"].text
        center = path_ids(soap, vm.id)[1]
        assert find(
            "FindByDatastorePath", f'<datacenter type="Datacenter">{center}</datacenter><path>{file}</path>'
        ) == [vm.id]
        assert find("FindByIp", f'<datacenter type="Datacenter">other</datacenter><ip>{address}</ip>{machine}') == []
        root = soap.root()
        name = path.partition("/")[0]
        assert find("FindChild", f'<entity type="Folder">{root}</entity><name>{name}</name>') == [center]
        with pytest.raises(LookupError, match="ManagedObjectNotFound"):
            find("FindChild", '<entity type="Folder">gone</entity><name>x</name>')

    def test_lists_of_chosen_objects(self, soap: Soap, lab: VsphereLab) -> None:
        vms = [one.id for one in lab.world.vms.values() if one.site_id == lab.site.id][:3]

        def refs(tag: str, *ids: str) -> str:
            return "".join(f'<{tag} type="VirtualMachine">{one}</{tag}>' for one in ids)

        view = soap.one("CreateListView", "ViewManager", "ViewManager", refs("obj", *vms[:2])).text or ""

        def shown(moid: str = view) -> list[str]:
            return [one.text or "" for one in soap.read("ListView", moid, "view").get("view", ())]

        assert shown() == vms[:2]
        assert soap.call("ModifyListView", "ListView", view, refs("add", vms[2], "vm-0") + refs("remove", vms[0]))
        assert shown()[:2] == vms[1:]
        assert not soap.call("ResetListView", "ListView", view, refs("obj", vms[0]))
        copy = (
            soap.one(
                "CreateListViewFromView", "ViewManager", "ViewManager", f'<view type="ListView">{view}</view>'
            ).text
            or ""
        )
        assert shown(copy) == [vms[0]]
        soap.call("ResetListView", "ListView", view, refs("obj", *vms))
        soap.call("ResetListViewFromView", "ListView", copy, f'<view type="ListView">{view}</view>')
        assert shown(copy) == vms
        soap.call("DestroyView", "ListView", view)
        with pytest.raises(LookupError, match="ManagedObjectNotFound"):
            soap.call("ResetListView", "ListView", view)

    def test_views_of_one_level(self, soap: Soap) -> None:
        root = soap.root()
        view = soap.one(
            "CreateContainerView",
            "ViewManager",
            "ViewManager",
            f'<container type="Folder">{root}</container><recursive>false</recursive>',
        )
        shown = soap.read("ContainerView", view.text or "", "view")["view"]
        assert {one.get("type") for one in shown} == {"Datacenter"}


def path_ids(soap: Soap, moid: str) -> list[str]:
    """Ids from the root to an entity."""
    kind, ids = "VirtualMachine", [moid]
    while True:
        above = soap.read(kind, ids[0], "parent").get("parent")
        if above is None:
            return ids
        kind = above.get("type") or ""
        ids.insert(0, above.text or "")


def path_of(soap: Soap, moid: str) -> str:
    """An entity's inventory path."""
    names = []
    kind, at = "VirtualMachine", moid
    while at != soap.root():
        found = soap.read(kind, at, "parent", "name")
        names.insert(0, found["name"].text or "")
        kind, at = found["parent"].get("type") or "", found["parent"].text or ""
    return "/".join(names)


class TestAccess:
    def test_nobody_has_no_session(self, soap: Soap) -> None:
        """Real servers say so where they could refuse: pyVmomi asks it before it logs in again."""
        soap.call("UpdateServiceMessage", "SessionManager", "SessionManager", "<message>hello</message>")
        assert soap.read("SessionManager", "SessionManager", "message")["message"].text == "hello"
        soap.call("Logout", "SessionManager", "SessionManager")
        assert soap.read("SessionManager", "SessionManager", "currentSession") == {}
        assert not soap.call("Fetch", "SessionManager", "SessionManager", "<prop>currentSession</prop>")
        with pytest.raises(LookupError, match="NotAuthenticated"):
            soap.read("LicenseManager", "LicenseManager")
        with pytest.raises(LookupError, match="NotAuthenticated"):
            soap.call("Fetch", "LicenseManager", "LicenseManager", "<prop>licenses</prop>")

    def test_sessions(self, soap: Soap, lab: VsphereLab) -> None:
        own = soap.read("SessionManager", "SessionManager", "currentSession")["currentSession"]
        key = own.findtext(f"{V}key")
        assert key
        assert key not in soap.headers["Cookie"]
        other = Soap(lab)
        assert len(soap.read("SessionManager", "SessionManager", "sessionList")["sessionList"]) == 2
        asked = f"<sessionID>{key}</sessionID><userName>{escape(lab.site.user)}</userName>"
        assert other.one("SessionIsActive", "SessionManager", "SessionManager", asked).text == "true"
        other.call("TerminateSession", "SessionManager", "SessionManager", f"<sessionId>{key}</sessionId>")
        with pytest.raises(LookupError, match="NotAuthenticated"):
            soap.call("CurrentTime", "ServiceInstance", "ServiceInstance")
        with pytest.raises(LookupError, match="NotFound"):
            other.call("TerminateSession", "SessionManager", "SessionManager", "<sessionId>x</sessionId>")
        ticket = other.one("AcquireCloneTicket", "SessionManager", "SessionManager").text
        soap.headers.clear()
        soap.call("CloneSession", "SessionManager", "SessionManager", f"<cloneTicket>{ticket}</cloneTicket>")
        soap.call("CurrentTime", "ServiceInstance", "ServiceInstance")
        with pytest.raises(LookupError, match="InvalidLogin"):
            soap.call("CloneSession", "SessionManager", "SessionManager", f"<cloneTicket>{ticket}</cloneTicket>")
        other.connection.close()

    def test_privileges_and_settings(self, soap: Soap, lab: VsphereLab) -> None:
        root = f'type="Folder">{soap.root()}'
        lab.site.extra["denied_privileges"] = ("Host.Config.Power",)
        asked = "<privId>System.View</privId><privId>Host.Config.Power</privId>"
        granted = soap.one(
            "HasPrivilegeOnEntities",
            "AuthorizationManager",
            "AuthorizationManager",
            f"<entity {root}</entity><sessionId>x</sessionId>{asked}",
        )
        assert [one.findtext(f"{V}isGranted") for one in granted.findall(f"{V}privAvailability")] == ["true", "false"]
        own = soap.one(
            "FetchUserPrivilegeOnEntities",
            "AuthorizationManager",
            "AuthorizationManager",
            f"<entities {root}</entities><userName>x</userName>",
        )
        assert "System.View" in [one.text for one in own.findall(f"{V}privileges")]
        assert soap.call(
            "RetrieveEntityPermissions",
            "AuthorizationManager",
            "AuthorizationManager",
            f"<entity {root}</entity><inherited>true</inherited>",
        )
        setting = soap.one("RetrieveServiceContent", "ServiceInstance", "ServiceInstance").find(f"{V}setting")
        assert setting is not None
        options = soap.call("QueryOptions", "OptionManager", setting.text or "")
        assert options
        key = options[0].findtext(f"{V}key")
        soap.call(
            "UpdateOptions",
            "OptionManager",
            setting.text or "",
            f"<changedValue><key>{key}</key>"
            '<value xsi:type="xsd:string" xmlns:xsd="http://www.w3.org/2001/XMLSchema">new</value></changedValue>',
        )
        assert (
            soap.one("QueryOptions", "OptionManager", setting.text or "", f"<name>{key}</name>").findtext(f"{V}value")
            == "new"
        )
        with pytest.raises(LookupError, match="InvalidName"):
            soap.call("QueryOptions", "OptionManager", setting.text or "", "<name>none</name>")

    def test_histories(self, soap: Soap, lab: VsphereLab) -> None:
        one, two = [vm for vm in lab.world.vms.values() if vm.site_id == lab.site.id and vm.power is Power.RUNNING][:2]
        for vm in (one, two):
            task = soap.one("SuspendVM_Task", "VirtualMachine", vm.id).text or ""
            until_done(lab, task)
        entity = f'<entity><entity type="VirtualMachine">{two.id}</entity><recursion>self</recursion></entity>'
        log = (
            soap.one(
                "CreateCollectorForTasks",
                "TaskManager",
                "TaskManager",
                f"<filter>{entity}<state>success</state></filter>",
            ).text
            or ""
        )
        page = soap.read("TaskHistoryCollector", log, "latestPage")["latestPage"]
        assert [info.findtext(f"{V}entity") for info in page] == [two.id]
        soap.call("RewindCollector", "TaskHistoryCollector", log)
        assert len(soap.call("ReadNextTasks", "TaskHistoryCollector", log, "<maxCount>10</maxCount>")) == 1
        assert not soap.call("ReadNextTasks", "TaskHistoryCollector", log, "<maxCount>10</maxCount>")
        assert len(soap.call("ReadPreviousTasks", "TaskHistoryCollector", log, "<maxCount>10</maxCount>")) == 1
        soap.call(
            "LogUserEvent",
            "EventManager",
            "EventManager",
            f'<entity type="VirtualMachine">{one.id}</entity><msg>hello</msg>',
        )
        said = (
            soap.one(
                "CreateCollectorForEvents",
                "EventManager",
                "EventManager",
                f'<filter><entity><entity type="Folder">{soap.root()}</entity><recursion>all</recursion>'
                "</entity><eventTypeId>GeneralUserEvent</eventTypeId></filter>",
            ).text
            or ""
        )
        soap.call("SetCollectorPageSize", "EventHistoryCollector", said, "<maxCount>5</maxCount>")
        found = soap.read("EventHistoryCollector", said, "latestPage")["latestPage"]
        assert [event.findtext(f"{V}fullFormattedMessage") for event in found] == ["hello"]
        late = (
            soap.one(
                "CreateCollectorForEvents",
                "EventManager",
                "EventManager",
                "<filter><time><beginTime>2100-01-01T00:00:00Z</beginTime></time></filter>",
            ).text
            or ""
        )
        soap.call("ResetCollector", "EventHistoryCollector", late)
        assert not soap.call("ReadPreviousEvents", "EventHistoryCollector", late, "<maxCount>9</maxCount>")
        soap.call("DestroyCollector", "EventHistoryCollector", late)
        with pytest.raises(LookupError, match="ManagedObjectNotFound"):
            soap.call("ResetCollector", "EventHistoryCollector", late)
