"""The properties of VMs and snapshots, in the schema's terms. The caller holds ``world.lock``."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hvconsole.lab.objects import Guest, Power, Snapshot, Vm
from hvconsole.lab.vsphere.faults import STATES
from hvconsole.lab.vsphere.tree import Tree
from hvconsole.lab.vsphere.values import Array, Data, Ref, Typed, Word, array, long, when

MIB = 1 << 20
SCSI, IDE, DISK, CDROM, CARD = 1000, 200, 2000, 3000, 4000
_GUEST_IDS = {
    "debian": "debian12_64Guest",
    "ubuntu": "ubuntu64Guest",
    "rocky": "rockylinux_64Guest",
    "sles": "sles15_64Guest",
    "windows": "windows2019srvNext_64Guest",
    "freebsd": "freebsd13_64Guest",
}
GUESTS = (
    ("debian11_64Guest", "Debian GNU/Linux 11 (64-bit)"),
    ("debian12_64Guest", "Debian GNU/Linux 12 (64-bit)"),
    ("ubuntu64Guest", "Ubuntu Linux (64-bit)"),
    ("rockylinux_64Guest", "Rocky Linux (64-bit)"),
    ("rhel9_64Guest", "Red Hat Enterprise Linux 9 (64-bit)"),
    ("sles15_64Guest", "SUSE Linux Enterprise 15 (64-bit)"),
    ("windows2019srvNext_64Guest", "Microsoft Windows Server 2022 (64-bit)"),
    ("windows2019srv_64Guest", "Microsoft Windows Server 2019 (64-bit)"),
    ("windows11_64Guest", "Microsoft Windows 11 (64-bit)"),
    ("freebsd13_64Guest", "FreeBSD 13 or later versions (64-bit)"),
    ("otherLinux64Guest", "Other Linux (64-bit)"),
    ("otherGuest64", "Other (64-bit)"),
)
_METHODS = {
    "start": "PowerOnVM_Task",
    "power_off": "PowerOffVM_Task",
    "shutdown": "ShutdownGuest",
    "reboot": "RebootGuest",
    "reset": "ResetVM_Task",
    "suspend": "SuspendVM_Task",
    "snapshot": "CreateSnapshot_Task",
    "migrate": "RelocateVM_Task",
    "clone": "CloneVM_Task",
    "delete": "Destroy_Task",
    "rename": "Rename_Task",
    "export": "ExportVm",
}
_BUSY = (
    "CreateSnapshot_Task",
    "CloneVM_Task",
    "Destroy_Task",
    "ExportVm",
    "MarkAsTemplate",
    "PowerOnVM_Task",
    "RelocateVM_Task",
    "RevertToCurrentSnapshot_Task",
    "SuspendVM_Task",
    "ReconfigVM_Task",
    "RemoveAllSnapshots_Task",
)

Properties = dict[str, Callable[[], Any]]


def escaped(name: str) -> str:
    """A name as the inventory stores it."""
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")


def guest_id(guest: Guest) -> str:
    """The configured guest of a VM."""
    return (guest.distro and _GUEST_IDS.get(guest.distro, "otherLinux64Guest")) or "otherGuest64"


def vm_properties(tree: Tree, vm: Vm) -> Properties:
    """Top-level properties → functions that compute them."""
    world = tree.world

    def stores() -> Array:
        ids = dict.fromkeys(
            world.disks[drive.disk_id].storage_id for drive in vm.drives if drive.disk_id in world.disks
        )
        return array("ManagedObjectReference", (Ref("Datastore", one) for one in ids))

    def host() -> Ref | None:
        found = tree.registered_host(vm)
        return None if found is None else Ref("HostSystem", found.id)

    def pool() -> Ref | None:
        found = tree.pool_of(vm)
        return None if found is None else Ref("ResourcePool", found)

    def networks() -> Array:
        ids = dict.fromkeys(nic.network_id for nic in vm.nics if nic.network_id)
        return array("ManagedObjectReference", (tree.network_ref(one) for one in ids))

    def tasks() -> Array:
        own = [task for task in world.tasks.values() if task.extra.get("entity") == vm.id or task.target_id == vm.id]
        return array("ManagedObjectReference", (Ref("Task", task.id) for task in own[-20:]))

    def summary() -> Data:
        return Data(
            "VirtualMachineSummary",
            vm=Ref("VirtualMachine", vm.id),
            runtime=lambda: runtime(tree, vm),
            guest=lambda: Data("VirtualMachineGuestSummary", toolsRunningStatus=_tools(vm), ipAddress=_first(vm)),
            config=lambda: _config_summary(tree, vm),
            storage=lambda: Data(
                "VirtualMachineStorageSummary",
                committed=long(_used(tree, vm)),
                uncommitted=long(0),
                unshared=long(_used(tree, vm)),
                timestamp=when(world.now()),
            ),
            quickStats=lambda: _quick(vm),
            overallStatus=Word("ManagedEntityStatus", "green"),
        )

    return {
        "name": lambda: escaped(vm.name),
        "parent": lambda: tree.parent(vm.id),
        "resourcePool": pool,
        "config": lambda: config(tree, vm),
        "runtime": lambda: runtime(tree, vm),
        "guest": lambda: guest_info(tree, vm),
        "summary": summary,
        "snapshot": lambda: snapshot_info(tree, vm),
        "rootSnapshot": lambda: array(
            "ManagedObjectReference", (Ref("VirtualMachineSnapshot", one.id) for one in _children(tree, vm, None))
        ),
        "disabledMethod": lambda: array("string", disabled(vm)),
        "network": networks,
        "datastore": stores,
        "recentTask": tasks,
        "overallStatus": lambda: Word("ManagedEntityStatus", "green"),
        "effectiveRole": lambda: array("int", (-1,)),
        "declaredAlarmState": lambda: None,
        "guestHeartbeatStatus": lambda: Word("ManagedEntityStatus", "green" if vm.guest.tools_running else "gray"),
        "environmentBrowser": lambda: Ref("EnvironmentBrowser", "envbrowser-" + tree.any_compute()),
        "host": host,
    }


def disabled(vm: Vm) -> list[str]:
    """Methods that are refused now: blocked by an administrator, or while something else is under way."""
    found = [_METHODS[verb] for verb in vm.blocked if verb in _METHODS]
    if vm.operations:
        found.extend(_BUSY)
    return list(dict.fromkeys(found))


def _tools(vm: Vm) -> str:
    running = vm.power is Power.RUNNING and vm.guest.tools_running
    return "guestToolsRunning" if running else "guestToolsNotRunning"


def _shown_addresses(vm: Vm) -> list[str]:
    if _tools(vm) != "guestToolsRunning":
        return []
    return [address for nic in vm.nics for address in nic.addresses]


def _first(vm: Vm) -> str | None:
    return next(iter(_shown_addresses(vm)), None)


def _used(tree: Tree, vm: Vm) -> int:
    return sum(tree.world.disks[drive.disk_id].used_bytes for drive in vm.drives if drive.disk_id in tree.world.disks)


def _quick(vm: Vm) -> Data:
    on = vm.power is Power.RUNNING
    return Data(
        "VirtualMachineQuickStats",
        overallCpuUsage=120 * vm.vcpus if on else 0,
        guestMemoryUsage=vm.memory_bytes // MIB // 4 if on else 0,
        hostMemoryUsage=vm.memory_bytes // MIB // 2 if on else 0,
        guestHeartbeatStatus=Word("ManagedEntityStatus", "green" if on else "gray"),
    )


def runtime(tree: Tree, vm: Vm) -> Data:
    """``VirtualMachineRuntimeInfo``."""
    host = tree.registered_host(vm)
    on = vm.power in (Power.RUNNING, Power.PAUSED)
    return Data(
        "VirtualMachineRuntimeInfo",
        host=None if host is None else Ref("HostSystem", host.id),
        connectionState=Word("VirtualMachineConnectionState", vm.extra.get("connection", "connected")),
        powerState=Word("VirtualMachinePowerState", STATES[vm.power]),
        faultToleranceState=Word("VirtualMachineFaultToleranceState", "notConfigured"),
        toolsInstallerMounted=False,
        bootTime=when(vm.started) if on and vm.started else None,
        question=_question(vm),
        maxCpuUsage=vm.vcpus * 2400 if on else None,
        maxMemoryUsage=vm.memory_bytes // MIB if on else None,
        numMksConnections=0,
        recordReplayState=Word("VirtualMachineRecordReplayState", "inactive"),
        cleanPowerOff=None if on else True,
        onlineStandby=False,
        consolidationNeeded=False,
    )


def _question(vm: Vm) -> Data | None:
    """What the host wants to know before the VM goes on."""
    words = vm.extra.get("question")
    answers = array(
        "ElementDescription",
        (
            Data("ElementDescription", label=label, summary=label, key=key)
            for key, label in (("0", "I moved it"), ("1", "I copied it"))
        ),
    )
    choice = Data("ChoiceOption", choiceInfo=answers, defaultIndex=1)
    return Data("VirtualMachineQuestionInfo", id="7", text=words, choice=choice) if words else None


def guest_info(tree: Tree, vm: Vm) -> Data:
    """``GuestInfo``."""
    guest = vm.guest
    running = _tools(vm) == "guestToolsRunning"
    old = "toolsNotInstalled" if not guest.tools else "toolsOk" if running else "toolsNotRunning"
    version = (
        "guestToolsNotInstalled"
        if not guest.tools
        else ("guestToolsCurrent" if guest.family == "windows" else "guestToolsUnmanaged")
    )

    def cards() -> Array:
        return array(
            "GuestNicInfo",
            (
                Data(
                    "GuestNicInfo",
                    network=_network_name(tree, nic.network_id),
                    ipAddress=array("string", nic.addresses),
                    macAddress=nic.mac,
                    connected=nic.plugged,
                    deviceConfigId=CARD + _position(nic.device, at),
                    ipConfig=_addresses(nic.addresses),
                )
                for at, nic in enumerate(vm.nics)
                if running
            ),
        )

    return Data(
        "GuestInfo",
        toolsStatus=Word("VirtualMachineToolsStatus", old),
        toolsVersionStatus2=version,
        toolsRunningStatus=_tools(vm),
        toolsVersion="12352" if guest.tools else "0",
        guestId=guest_id(guest) if running else None,
        guestFamily={"windows": "windowsGuest", "linux": "linuxGuest"}.get(guest.family, "otherGuestFamily")
        if running
        else None,
        guestFullName=guest.os or None if running else None,
        hostName=guest.hostname or None if running else None,
        ipAddress=_first(vm),
        net=cards,
        disk=lambda: _guest_disks(tree, vm),
        guestState="running" if running else "notRunning",
        guestOperationsReady=running,
    )


def _addresses(addresses: Iterable[str]) -> Data:
    return Data(
        "NetIpConfigInfo",
        ipAddress=array(
            "NetIpConfigInfoIpAddress",
            (
                Data(
                    "NetIpConfigInfoIpAddress",
                    ipAddress=address,
                    prefixLength=64 if ":" in address else 16,
                    state="preferred",
                )
                for address in addresses
            ),
        ),
    )


def _guest_disks(tree: Tree, vm: Vm) -> Array | None:
    if _tools(vm) != "guestToolsRunning":
        return None
    own = [
        tree.world.disks[drive.disk_id] for drive in vm.drives if drive.disk_id in tree.world.disks and not drive.is_cd
    ]
    names = ("C:\\", "D:\\", "E:\\") if vm.guest.family == "windows" else ("/", "/var", "/srv")
    return array(
        "GuestDiskInfo",
        (
            Data(
                "GuestDiskInfo",
                diskPath=name,
                capacity=long(disk.size_bytes),
                freeSpace=long(max(0, disk.size_bytes - disk.used_bytes)),
            )
            for name, disk in zip(names, own, strict=False)
        ),
    )


def _network_name(tree: Tree, network_id: str | None) -> str:
    network = tree.world.networks.get(network_id or "")
    return "" if network is None else escaped(network.name)


def _position(device: str, at: int) -> int:
    return int(device) if device.isdigit() else at


def config(tree: Tree, vm: Vm) -> Data:
    """``VirtualMachineConfigInfo``."""
    return Data(
        "VirtualMachineConfigInfo",
        changeVersion=change_version(vm),
        modified=when(vm.created),
        name=escaped(vm.name),
        guestFullName=dict(GUESTS).get(_configured_guest(vm), "Other (64-bit)"),
        version="vmx-19",
        uuid=vm_uuid(vm),
        instanceUuid=vm_uuid(vm),
        template=vm.is_template,
        guestId=_configured_guest(vm),
        alternateGuestName="",
        annotation=vm.description or None,
        files=lambda: Data("VirtualMachineFileInfo", vmPathName=vm_file(tree, vm)),
        tools=lambda: Data(
            "ToolsConfigInfo",
            toolsVersion=12352 if vm.guest.tools else 0,
            afterPowerOn=True,
            afterResume=True,
            beforeGuestStandby=True,
            beforeGuestShutdown=True,
            toolsUpgradePolicy="manual",
            syncTimeWithHost=False,
            lastInstallInfo=Data("ToolsConfigInfoToolsLastInstallInfo", counter=0),
        ),
        flags=Data(
            "VirtualMachineFlagInfo",
            disableAcceleration=False,
            enableLogging=True,
            useToe=False,
            runWithDebugInfo=False,
            monitorType="release",
            snapshotDisabled=False,
            snapshotLocked=False,
            diskUuidEnabled=True,
            snapshotPowerOffBehavior="powerOff",
        ),
        defaultPowerOps=_POWER_OPS,
        hardware=lambda: Data(
            "VirtualHardware",
            numCPU=vm.vcpus,
            numCoresPerSocket=1,
            memoryMB=vm.memory_bytes // MIB,
            device=lambda: devices(tree, vm),
        ),
        **vm_allocations(vm),
        memoryHotAddEnabled=False,
        cpuHotAddEnabled=False,
        cpuHotRemoveEnabled=False,
        extraConfig=lambda: array(
            "OptionValue", (Data("OptionValue", key=key, value=Typed(value)) for key, value in _extra(vm))
        ),
        swapPlacement="inherit",
        bootOptions=Data(
            "VirtualMachineBootOptions",
            bootDelay=long(0),
            enterBIOSSetup=False,
            bootRetryEnabled=False,
            bootRetryDelay=long(10_000),
        ),
        changeTrackingEnabled=False,
        firmware="efi",
        managedBy=_managed_by(vm),
    )


_POWER_OPS = Data(
    "VirtualMachineDefaultPowerOpInfo",
    powerOffType="soft",
    suspendType="hard",
    resetType="soft",
    defaultPowerOffType="soft",
    defaultSuspendType="hard",
    defaultResetType="soft",
    standbyAction="checkpoint",
)


def allocation(shares: int, *, expandable: bool = False) -> Data:
    """``ResourceAllocationInfo`` without limit or reservation."""
    return Data(
        "ResourceAllocationInfo",
        reservation=long(0),
        expandableReservation=expandable,
        limit=long(-1),
        shares=Data("SharesInfo", shares=shares, level=Word("SharesLevel", "normal")),
    )


def vm_allocations(vm: Vm) -> dict[str, Data]:
    """What processors and memory a VM may use."""
    return {"cpuAllocation": allocation(1000 * vm.vcpus), "memoryAllocation": allocation(10 * (vm.memory_bytes // MIB))}


def _extra(vm: Vm) -> list[tuple[str, str]]:
    """Settings of the file .vmx that have no field of their own, those that clients wrote last."""
    given: dict[str, str] = vm.extra.get("extra_config", {})
    return list(
        {
            "nvram": f"{vm.id}.nvram",
            "svga.present": "TRUE",
            "pciBridge0.present": "TRUE",
            "tools.guest.desktop.autolock": "FALSE",
            **given,
        }.items()
    )


def _managed_by(vm: Vm) -> Data | None:
    """The product that a VM belongs to, as (key of its extension, type)."""
    key, kind = vm.extra.get("managed_by", ("", ""))
    return Data("ManagedByInfo", extensionKey=key, type=kind) if key else None


def _configured_guest(vm: Vm) -> str:
    return str(vm.extra.get("guest_id") or guest_id(vm.guest))


def change_version(vm: Vm) -> str:
    """A text that differs whenever the configuration does."""
    what = (
        vm.name,
        vm.description,
        vm.vcpus,
        vm.memory_bytes,
        vm.is_template,
        [(drive.device, drive.disk_id) for drive in vm.drives],
        [(nic.device, nic.mac, nic.network_id, nic.plugged) for nic in vm.nics],
    )
    return f"{zlib.crc32(repr(what).encode('utf-8', 'replace')):08x}"


def vm_uuid(vm: Vm) -> str:
    """A VM's UUID, which is not its id."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{vm.site_id}/{vm.id}"))


def vm_file(tree: Tree, vm: Vm) -> str:
    """The path of a VM's own file."""
    return f"[{first_store(tree, vm)}] {vm.id}/{vm.id}.vmx"


def first_store(tree: Tree, vm: Vm) -> str:
    """The name of the datastore that a VM's own files are on."""
    for drive in vm.drives:
        disk = tree.world.disks.get(drive.disk_id or "")
        if disk is not None and disk.storage_id in tree.world.storages:
            return tree.world.storages[disk.storage_id].name
    stores = tree.storages()
    return stores[0].name if stores else "datastore1"


def _config_summary(tree: Tree, vm: Vm) -> Data:
    disks = [drive for drive in vm.drives if not drive.is_cd]
    return Data(
        "VirtualMachineConfigSummary",
        name=escaped(vm.name),
        template=vm.is_template,
        vmPathName=vm_file(tree, vm),
        memorySizeMB=vm.memory_bytes // MIB,
        numCpu=vm.vcpus,
        numEthernetCards=len(vm.nics),
        numVirtualDisks=len(disks),
        uuid=vm_uuid(vm),
        instanceUuid=vm_uuid(vm),
        guestId=_configured_guest(vm),
        guestFullName=dict(GUESTS).get(_configured_guest(vm), "Other (64-bit)"),
        annotation=vm.description or None,
    )


def disk_file(tree: Tree, disk_id: str) -> str:
    """The file name of a disk, the same for every VM that uses it."""
    disk = tree.world.disks[disk_id]
    store = tree.world.storages.get(disk.storage_id)
    suffix = "" if disk.is_iso else ".vmdk"
    folder = "iso" if disk.is_iso else disk.id
    return f"[{store.name if store else ''}] {folder}/{disk.name or disk.id}{suffix}"


def devices(tree: Tree, vm: Vm) -> Array:
    """``VirtualHardware.device``: controllers, disks, CD drives, cards."""
    found: list[Data] = [
        Data("VirtualIDEController", key=IDE, deviceInfo=_label("IDE 0", "IDE 0"), busNumber=0),
        Data(
            "ParaVirtualSCSIController",
            key=SCSI,
            deviceInfo=_label("SCSI controller 0", "VMware paravirtual SCSI"),
            busNumber=0,
            hotAddRemove=True,
            sharedBus=Word("VirtualSCSISharing", "noSharing"),
            scsiCtlrUnitNumber=7,
        ),
    ]
    number = 0
    for at, drive in enumerate(vm.drives):
        position = _position(drive.device, at)
        disk = tree.world.disks.get(drive.disk_id or "")
        if drive.is_cd:
            found.append(_cdrom(tree, position, drive.disk_id if disk is not None else None))
        elif disk is not None:
            number += 1
            found.append(_disk(tree, disk.id, position, number))
    found.extend(_card(tree, vm, at) for at in range(len(vm.nics)))
    return array("VirtualDevice", found)


def _label(label: str, summary: str) -> Data:
    return Data("Description", label=label, summary=summary)


def _disk(tree: Tree, disk_id: str, position: int, number: int) -> Data:
    disk = tree.world.disks[disk_id]
    return Data(
        "VirtualDisk",
        key=DISK + position,
        deviceInfo=_label(f"Hard disk {number}", f"{disk.size_bytes // 1024:,} KB"),
        backing=Data(
            "VirtualDiskFlatVer2BackingInfo",
            fileName=disk_file(tree, disk_id),
            datastore=Ref("Datastore", disk.storage_id),
            diskMode="persistent",
            split=False,
            writeThrough=False,
            thinProvisioned=bool(disk.extra.get("thin", True)),
            uuid=disk.id,
            parent=_chain(tree, disk.extra.get("parents", ())),
        ),
        controllerKey=SCSI,
        unitNumber=position,
        capacityInKB=long(disk.size_bytes // 1024),
        capacityInBytes=long(disk.size_bytes),
    )


def _chain(tree: Tree, disk_ids: Sequence[str]) -> Data | None:
    """The disks that one builds on, nearest first, each the backing of the one before."""
    found: Data | None = None
    for disk_id in reversed(disk_ids):
        found = Data(
            "VirtualDiskFlatVer2BackingInfo", fileName=disk_file(tree, disk_id), diskMode="persistent", parent=found
        )
    return found


def _cdrom(tree: Tree, position: int, disk_id: str | None) -> Data:
    if disk_id is None:
        backing = Data("VirtualCdromRemotePassthroughBackingInfo", deviceName="", useAutoDetect=False, exclusive=False)
    else:
        backing = Data(
            "VirtualCdromIsoBackingInfo",
            fileName=disk_file(tree, disk_id),
            datastore=Ref("Datastore", tree.world.disks[disk_id].storage_id),
        )
    return Data(
        "VirtualCdrom",
        key=CDROM + position,
        deviceInfo=_label("CD/DVD drive 1", "CD"),
        backing=backing,
        connectable=_connected(disk_id is not None),
        controllerKey=IDE,
        unitNumber=0,
    )


def _connected(now: bool) -> Data:
    return Data("VirtualDeviceConnectInfo", startConnected=now, allowGuestControl=True, connected=now, status="ok")


def _card(tree: Tree, vm: Vm, at: int) -> Data:
    nic = vm.nics[at]
    name = _network_name(tree, nic.network_id)
    network = tree.world.networks.get(nic.network_id or "")
    if network is not None and network.extra.get("kind") == "OpaqueNetwork":
        backing = Data(
            "VirtualEthernetCardOpaqueNetworkBackingInfo",
            opaqueNetworkId=network.extra["opaque_id"],
            opaqueNetworkType="nsx.LogicalSwitch",
        )
        name = f"nsx.LogicalSwitch: {network.extra['opaque_id']}"
    elif network is not None and network.extra.get("kind") == "DistributedVirtualPortgroup":
        backing = Data(
            "VirtualEthernetCardDistributedVirtualPortBackingInfo",
            port=Data("DistributedVirtualSwitchPortConnection", switchUuid=tree.switch_uuid, portgroupKey=network.id),
        )
    else:
        backing = Data(
            "VirtualEthernetCardNetworkBackingInfo",
            deviceName=name,
            useAutoDetect=False,
            network=Ref("Network", nic.network_id) if nic.network_id else None,
        )
    return Data(
        str(nic.extra.get("model") or "VirtualVmxnet3"),
        key=CARD + _position(nic.device, at),
        deviceInfo=_label(f"Network adapter {at + 1}", name),
        backing=backing,
        connectable=_connected(nic.plugged and vm.power is Power.RUNNING),
        controllerKey=100,
        unitNumber=7 + at,
        addressType="assigned",
        macAddress=nic.mac,
        wakeOnLanEnabled=True,
    )


# ---- snapshots -----------------------------------------------------------------------------------------------


def _children(tree: Tree, vm: Vm, parent: str | None) -> list[Snapshot]:
    own = tree.world.snapshots_of(vm.id)
    known = {one.id for one in own}
    return [one for one in own if (one.parent_id if one.parent_id in known else None) == parent]


def snapshot_info(tree: Tree, vm: Vm) -> Data | None:
    """``VirtualMachineSnapshotInfo``, unset without snapshots."""
    own = tree.world.snapshots_of(vm.id)
    if not own:
        return None
    known = {one.id for one in own}
    below: dict[str | None, list[Snapshot]] = {}
    for one in own:
        below.setdefault(one.parent_id if one.parent_id in known else None, []).append(one)
    numbers = {one.id: at + 1 for at, one in enumerate(own)}

    def node(one: Snapshot) -> Data:
        return Data(
            "VirtualMachineSnapshotTree",
            snapshot=Ref("VirtualMachineSnapshot", one.id),
            vm=Ref("VirtualMachine", vm.id),
            name=one.name,
            description=one.description,
            id=numbers[one.id],
            createTime=when(one.created),
            state=Word("VirtualMachinePowerState", STATES[one.power] if one.with_memory else "poweredOff"),
            quiesced=one.quiesced,
            childSnapshotList=array("VirtualMachineSnapshotTree", (node(c) for c in below.get(one.id, ()))),
            replaySupported=False,
        )

    current = vm.current_snapshot_id
    return Data(
        "VirtualMachineSnapshotInfo",
        currentSnapshot=Ref("VirtualMachineSnapshot", current) if current in known else None,
        rootSnapshotList=array("VirtualMachineSnapshotTree", (node(one) for one in below.get(None, ()))),
    )


def snapshot_properties(tree: Tree, snapshot: Snapshot) -> Properties:
    """Properties of a snapshot object."""
    vm = tree.world.vms.get(snapshot.vm_id)
    return {
        "config": lambda: None if vm is None else config(tree, vm),
        "childSnapshot": lambda: array(
            "ManagedObjectReference",
            (Ref("VirtualMachineSnapshot", one.id) for one in ([] if vm is None else _children(tree, vm, snapshot.id))),
        ),
        "vm": lambda: Ref("VirtualMachine", snapshot.vm_id),
    }
