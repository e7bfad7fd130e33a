"""VMs that leave and arrive: export, import through a planned system, migration to another host."""

from __future__ import annotations

import copy
from typing import Any

from hvconsole.lab import errors, power
from hvconsole.lab.hyperv import naming
from hvconsole.lab.hyperv.instance import Ref
from hvconsole.lab.hyperv.methods import (
    DENIED,
    FILE_MISSING,
    INVALID_PARAMETER,
    UNSUPPORTED,
    Call,
    Method,
    Output,
    ReturnValue,
)
from hvconsole.lab.objects import Drive, Nic, Power, Vm
from hvconsole.lab.tasks import Task


def export_system(call: Call) -> Output:
    """ExportSystemDefinition: into a folder of the host, under the VM's name if asked for."""
    world, site = call.picture.world, call.picture.site
    folder = call.parameters.text("ExportDirectory").rstrip("\\")
    settings = call.parameters.instances("ExportSettingData") if call.parameters.text("ExportSettingData") else []
    if len(folder) < 2 or not (folder[1] == ":" or folder.startswith("\\\\")):
        raise ReturnValue(INVALID_PARAMETER)
    if folder.startswith("\\\\"):
        # The session may not log in to a file server with a password it does not have.
        raise ReturnValue(DENIED)
    with world.lock:
        vm = call.vm("ComputerSystem")
        power.check(world, vm, "export")
    if settings and settings[0].text("CreateVmExportSubdirectory").lower() == "true":
        folder += f"\\{vm.name}"

    def work(task: Task) -> None:
        with power.begun(world, vm.id, "export", task) as (found, job):
            world.work(job, world.timing.copy)
            with world.lock:
                path = f"{folder}\\Virtual Machines\\{naming.guid(found.id)}.vmcx".lower()
                site.extra.setdefault("exports", {})[path] = _packed(call, found)

    return call.job("export", work, vm.id, naming.system_ref(naming.guid(vm.id)), job_type=90)


def _packed(call: Call, vm: Vm) -> dict[str, Any]:
    disks = [call.picture.world.disks.get(drive.disk_id or "") for drive in vm.drives]
    return {
        "name": vm.name,
        "description": vm.description,
        "vcpus": vm.vcpus,
        "memory_bytes": vm.memory_bytes,
        "generation": naming.generation(vm),
        "id": vm.id,
        "guest": copy.copy(vm.guest),
        "disks": [
            (drive.device, drive.is_cd, disk.size_bytes if disk else 0, disk.used_bytes if disk else 0)
            for drive, disk in zip(vm.drives, disks, strict=True)
        ],
        "nics": [(nic.device, nic.network_id) for nic in vm.nics],
    }


def import_system(call: Call) -> Output:
    """ImportSystemDefinition: makes a planned system."""
    world, site = call.picture.world, call.picture.site
    packed = site.extra.get("exports", {}).get(call.parameters.text("SystemDefinitionFile").lower())
    if packed is None:
        raise ReturnValue(FILE_MISSING)
    fresh = call.parameters.flag("GenerateNewSystemIdentifier")
    with world.lock:
        if not fresh and packed["id"] in world.vms:
            raise ReturnValue(32774)
        vm_id = world.new_id() if fresh else packed["id"]
        vm = Vm(
            id=vm_id,
            site_id=site.id,
            name=packed["name"],
            description=packed["description"],
            vcpus=packed["vcpus"],
            memory_bytes=packed["memory_bytes"],
            created=world.now(),
            home_host_id=call.picture.host.id,
            guest=copy.copy(packed["guest"]),
        )
        vm.guest.tools_running = False
        vm.extra.update(planned=True, packed=packed, generation=packed["generation"])
        vm.nics = [
            Nic(id=world.new_id(), device=device, mac=world.new_mac(), network_id=network_id)
            for device, network_id in packed["nics"]
        ]
        world.add(vm)
    planned = naming.system_ref(naming.guid(vm_id), "Msvm_PlannedComputerSystem")
    return call.job(
        "import",
        lambda task: world.work(task, world.timing.create),
        vm_id,
        planned,
        job_type=91,
        ImportedSystem=planned,
    )


def _planned(call: Call) -> Vm:
    vm = call.vm("PlannedSystem")
    if not vm.extra.get("planned"):
        raise ReturnValue(INVALID_PARAMETER)
    return vm


def validate_planned(call: Call) -> Output:
    """ValidatePlannedSystem."""
    vm = _planned(call)
    return call.job("validate", lambda task: None, vm.id)


def realize_planned(call: Call) -> Output:
    """RealizePlannedSystem: the disks come with it."""
    from hvconsole.lab import lifecycle

    world = call.picture.world
    vm = _planned(call)

    def work(task: Task) -> Ref:
        world.work(task, world.timing.copy)
        with world.lock:
            for device, is_cd, size, used in vm.extra.pop("packed")["disks"]:
                drive = Drive(id=world.new_id(), device=device, is_cd=is_cd, read_only=is_cd)
                if size and not is_cd:
                    disk = lifecycle.new_disk(world, vm.site_id, None, f"{vm.name} disk {device}", size)
                    disk.used_bytes = used
                    drive.disk_id = disk.id
                vm.drives.append(drive)
            vm.extra.pop("planned")
            world.changed(vm)
            return naming.system_ref(naming.guid(vm.id))

    system = naming.system_ref(naming.guid(vm.id))
    return call.job("realize", work, vm.id, job_type=92, ResultingSystem=system)


def migratable(call: Call) -> Output:
    """CheckVirtualSystemIsMigratableToHost."""
    return {"IsMigratable": _refusal(call) == 0}


def migrate(call: Call) -> Output:
    """MigrateVirtualSystemToHost: with a login that may go on to the other host."""
    refusal = _refusal(call)
    if refusal:
        raise ReturnValue(refusal)
    world = call.picture.world
    vm = call.vm("ComputerSystem")
    target = next(site for site in world.sites.values() if site.kind == "hyperv" and _named(call, site.id))

    def work(task: Task) -> None:
        if call.auth not in ("kerberos", "credssp") and not call.picture.site.extra.get("migration_any_login"):
            raise errors.Injected(
                "32769", ("The operation failed: no credentials are available in the security package. (0x8009030E)",)
            )
        with power.begun(world, vm.id, "migrate", task) as (found, job):
            world.work(job, world.timing.migrate)
            with world.lock:
                host = next(host for host in world.hosts.values() if host.site_id == target.id)
                found.site_id = target.id
                found.home_host_id = host.id
                if found.power in (Power.RUNNING, Power.PAUSED):
                    found.host_id = host.id
                world.changed(found)

    return call.job(
        "migrate", work, vm.id, naming.system_ref(naming.guid(vm.id)), job_type=95, class_name="Msvm_MigrationJob"
    )


def _named(call: Call, site_id: str) -> bool:
    wanted = call.parameters.text("DestinationHost").partition(".")[0].upper()
    hosts = (host for host in call.picture.world.hosts.values() if host.site_id == site_id)
    return any(naming.server_name(host) == wanted for host in hosts)


def _refusal(call: Call) -> int:
    world, site = call.picture.world, call.picture.site
    if not site.extra.get("migration"):
        return UNSUPPORTED
    targets = [other for other in world.sites.values() if other.kind == "hyperv" and _named(call, other.id)]
    if not targets or targets[0].id == site.id:
        return INVALID_PARAMETER
    return 0 if targets[0].extra.get("migration") else UNSUPPORTED


_MIGRATION = (
    "ComputerSystem",
    "DestinationHost",
    "MigrationSettingData",
    "NewSystemSettingData",
    "NewResourceSettingData",
)
METHODS = {
    "Msvm_VirtualSystemManagementService": {
        "ExportSystemDefinition": Method(
            export_system, ("ComputerSystem", "ExportDirectory", "ExportSettingData"), ("Job",)
        ),
        "ImportSystemDefinition": Method(
            import_system,
            ("SystemDefinitionFile", "SnapshotFolder", "GenerateNewSystemIdentifier"),
            ("ImportedSystem", "Job"),
        ),
        "ValidatePlannedSystem": Method(validate_planned, ("PlannedSystem",), ("Job",)),
        "RealizePlannedSystem": Method(realize_planned, ("PlannedSystem",), ("ResultingSystem", "Job")),
    },
    "Msvm_VirtualSystemMigrationService": {
        "MigrateVirtualSystemToHost": Method(migrate, _MIGRATION, ("Job",)),
        "CheckVirtualSystemIsMigratableToHost": Method(migratable, _MIGRATION, ("IsMigratable",)),
    },
}
