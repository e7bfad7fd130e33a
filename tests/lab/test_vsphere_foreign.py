"""Clients of others work the lab's vCenter and ESXi: plain pyVmomi, and the Go library govmomi."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vim, vmodl

from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.objects import Power
from hvconsole.lab.sites import Identity
from hvconsole.lab.tasks import Timing
from tests.backends.vsphere_lab import VsphereLab, vsphere_lab
from tests.peers import govmomi

# pyVmomi leaves the connections of its version check and of refused logins to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(params=[False, True], ids=["vcenter", "esxi"])
def lab(request: pytest.FixtureRequest, lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity, esxi=request.param) as running:
        yield running


def connect(lab: VsphereLab, password: str | None = None) -> Any:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return SmartConnect(
        host=lab.address, port=lab.port, user=lab.site.user, pwd=password or lab.site.password, sslContext=context
    )


@pytest.fixture
def content(lab: VsphereLab) -> Iterator[Any]:
    instance = connect(lab)
    yield instance.RetrieveContent()
    Disconnect(instance)
    instance._stub.DropConnections()


def all_of(content: Any, kind: Any) -> list[Any]:
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    return list(view.view)


def spare(content: Any) -> Any:
    return next(vm for vm in all_of(content, vim.VirtualMachine) if vm.name in ("sandbox-zh", "branch-spare"))


class TestPyVmomi:
    def test_wrong_password(self, lab: VsphereLab) -> None:
        with pytest.raises(vim.fault.InvalidLogin):
            connect(lab, "wrong")

    @pytest.mark.parametrize("release", ["6.5", "7.0", "8.0"])
    def test_every_release(self, lab_identity: Identity, release: str) -> None:
        with vsphere_lab(lab_identity, release=release) as lab:
            instance = connect(lab)
            assert instance.content.about.apiVersion.startswith(release)
            Disconnect(instance)
            instance._stub.DropConnections()

    def test_every_property_can_be_read(self, lab: VsphereLab, content: Any) -> None:
        for vm in all_of(content, vim.VirtualMachine):
            assert vm.name
            assert vm.config.hardware.numCPU >= 1
            assert vm.summary.config.memorySizeMB >= 4
            assert vm.runtime.powerState in ("poweredOn", "poweredOff", "suspended")
            assert vm.guest.toolsRunningStatus
            for name in (
                "snapshot",
                "network",
                "datastore",
                "parent",
                "resourcePool",
                "disabledMethod",
                "recentTask",
                "rootSnapshot",
            ):
                getattr(vm, name)
        for host in all_of(content, vim.HostSystem):
            assert host.summary.hardware.numCpuCores
            assert host.config.network.pnic
            assert len(host.config.certificate) > 100
            for name in ("hardware", "runtime", "vm", "datastore", "network", "parent"):
                getattr(host, name)
        for kind, names in (
            (vim.Datastore, ("summary", "host", "vm")),
            (vim.Folder, ("childEntity", "childType")),
            (vim.ComputeResource, ("host", "resourcePool", "environmentBrowser")),
            (vim.Datacenter, ("vmFolder", "hostFolder")),
            (vim.ResourcePool, ("owner", "vm")),
            (vim.Network, ("host", "vm", "summary")),
        ):
            for one in all_of(content, kind):
                for name in ("name", "parent", *names):
                    getattr(one, name)

    def test_pages(self, content: Any) -> None:
        query = vmodl.query.PropertyCollector
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.ManagedEntity], True)
        step = query.TraversalSpec(name="v", type=vim.view.ContainerView, path="view", skip=False)
        spec = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[step])],
            propSet=[query.PropertySpec(type=vim.ManagedEntity, pathSet=["name"], all=False)],
        )
        found = []
        answer = content.propertyCollector.RetrievePropertiesEx([spec], query.RetrieveOptions(maxObjects=3))
        while True:
            assert len(answer.objects) <= 3
            found.extend(answer.objects)
            if not answer.token:
                break
            answer = content.propertyCollector.ContinueRetrievePropertiesEx(answer.token)
        assert len({one.obj._moId for one in found}) == len(found) == len(list(view.view))
        with pytest.raises(vmodl.query.InvalidProperty):
            content.propertyCollector.ContinueRetrievePropertiesEx("no such token")

    def test_life_of_a_vm(self, lab: VsphereLab, content: Any) -> None:
        vm = spare(content)
        WaitForTask(vm.PowerOnVM_Task())
        assert vm.runtime.powerState == "poweredOn"
        with pytest.raises(vim.fault.InvalidPowerState) as caught:
            WaitForTask(vm.PowerOnVM_Task())
        assert caught.value.existingState == "poweredOn"
        task = vm.CreateSnapshot_Task("first", "why", True, False)
        WaitForTask(task)
        assert task.info.result == vm.snapshot.currentSnapshot
        assert vm.snapshot.rootSnapshotList[0].state == "poweredOn"
        WaitForTask(vm.snapshot.currentSnapshot.RemoveSnapshot_Task(False))
        assert vm.snapshot is None
        WaitForTask(vm.SuspendVM_Task())
        assert vm.runtime.powerState == "suspended"
        WaitForTask(vm.PowerOnVM_Task())
        vm.ShutdownGuest()
        while vm.runtime.powerState != "poweredOff":
            assert lab.world.wait_for_change(0, 1)
        with pytest.raises(vim.fault.InvalidPowerState):
            vm.ShutdownGuest()
        WaitForTask(vm.Rename_Task("renamed%2fby pyVmomi"))
        assert lab.vm("renamed/by pyVmomi").power is Power.HALTED
        WaitForTask(vm.Destroy_Task())
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            vm.name

    def test_guests_without_tools(self, lab: VsphereLab, content: Any) -> None:
        vm = next(
            vm
            for vm in all_of(content, vim.VirtualMachine)
            if vm.guest.toolsVersionStatus2 == "guestToolsNotInstalled" and vm.runtime.powerState == "poweredOn"
        )
        for ask in (vm.ShutdownGuest, vm.RebootGuest, vm.StandbyGuest):
            with pytest.raises(vim.fault.ToolsUnavailable):
                ask()

    def test_cloning_only_with_a_vcenter(self, lab: VsphereLab, content: Any) -> None:
        vm = spare(content)
        spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
        if lab.site.flavour == "esxi":
            with pytest.raises(vmodl.fault.NotSupported):
                vm.CloneVM_Task(vm.parent, "copy", spec)
            return
        task = vm.CloneVM_Task(vm.parent, "copy", spec)
        WaitForTask(task)
        assert task.info.result.name == "copy"
        with pytest.raises(vim.fault.DuplicateName):
            vm.CloneVM_Task(vm.parent, "copy", spec)

    def test_maintenance_and_reboot(self, lab: VsphereLab, content: Any) -> None:
        host = all_of(content, vim.HostSystem)[-1]
        with pytest.raises(vim.fault.InvalidState):
            host.RebootHost_Task(False)
        for vm in host.vm:
            if vm.runtime.powerState == "poweredOn":
                WaitForTask(vm.PowerOffVM_Task())
        WaitForTask(host.EnterMaintenanceMode_Task(0))
        assert host.runtime.inMaintenanceMode
        WaitForTask(host.ExitMaintenanceMode_Task(0))
        assert not host.runtime.inMaintenanceMode

    def test_tasks_take_time_and_can_be_cancelled(self, lab_identity: Identity) -> None:
        with vsphere_lab(lab_identity, timing=Timing(snapshot=30)) as lab:
            instance = connect(lab)
            vm = spare(instance.content)
            task = vm.CreateSnapshot_Task("never", "", False, False)
            assert task.info.state == "running"
            assert task.info.descriptionId == "VirtualMachine.createSnapshot"
            assert vm.recentTask == [task]
            with pytest.raises(vim.fault.TaskInProgress):
                WaitForTask(vm.PowerOnVM_Task())
            task.CancelTask()
            with pytest.raises(vmodl.fault.RequestCanceled):
                WaitForTask(task)
            assert vm.snapshot is None
            Disconnect(instance)
            instance._stub.DropConnections()

    def test_faults_on_demand(self, lab: VsphereLab, content: Any) -> None:
        lab.world.faults.add(FaultRule(method="PowerOnVM_Task", code="RestrictedVersion", max_count=1))
        with pytest.raises(vim.fault.RestrictedVersion):
            spare(content).PowerOnVM_Task()
        lab.world.faults.add(FaultRule(method="CurrentTime", effect=Effect.DROP_BEFORE, max_count=1))

    def test_events_and_measurements(self, lab: VsphereLab, content: Any) -> None:
        vm = spare(content)
        WaitForTask(vm.PowerOnVM_Task())
        assert content.eventManager.latestEvent.vm.name == vm.name
        names = {(c.groupInfo.key, c.nameInfo.key): c.key for c in content.perfManager.perfCounter}
        metric = vim.PerformanceManager.MetricId(counterId=names["cpu", "usage"], instance="")
        spec = vim.PerformanceManager.QuerySpec(entity=vm, metricId=[metric], intervalId=20, maxSample=5)
        (answer,) = content.perfManager.QueryPerf([spec])
        assert len(answer.value[0].value) == len(answer.sampleInfo) == 5

    def test_sessions_end(self, lab: VsphereLab, content: Any) -> None:
        lab.server.sessions.expire_all()
        with pytest.raises(vim.fault.NotAuthenticated):
            spare(content)


def test_govmomi(lab: VsphereLab) -> None:
    """The Go library, which shares no line with pyVmomi nor with us."""
    name = "branch-spare" if lab.site.flavour == "esxi" else "sandbox-zh"
    saw = govmomi.work(f"{lab.address}:{lab.port}", lab.site.user, lab.site.password, name)
    with lab.world.lock:
        assert saw["vms"] == sorted(vm.name for vm in lab.world.vms.values())
        assert saw["hosts"] == len(lab.world.hosts)
        assert lab.vm(name).power is Power.HALTED
    assert saw["on"] == "poweredOn"
    assert "poweredOn" in saw["again"]
    assert saw["snapshot"] == "VirtualMachineSnapshot"
    assert saw["exported"] > 0
