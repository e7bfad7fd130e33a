"""VMs that leave and arrive: export to and import from folders of the host, live migration.

The paths are the host's own: WMI carries no files. Any worker thread.
"""

from __future__ import annotations

import logging

from hvconsole.backends import wmi_path, wmi_query
from hvconsole.backends.base import TaskContext
from hvconsole.backends.hyperv_facts import object_id, vm_epr
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.hyperv_life import windows_path
from hvconsole.backends.hyperv_read import MANAGEMENT, MIGRATION, Reader
from hvconsole.backends.wmi_instance import Instance, Value
from hvconsole.backends.wsman_envelope import CIMV2, V2, Epr, Parameter, wmi_uri
from hvconsole.errors import (
    HvError,
    InvalidInput,
    NotSupported,
    OperationError,
    OutcomeUnknown,
    PermissionDenied,
)
from hvconsole.model import ObjectId
from hvconsole.text import unsendable

log = logging.getLogger(__name__)

_ALL_SNAPSHOTS = 0
_CRASH_CONSISTENT_STATE = 0
_MIGRATE_VM, _MIGRATE_VM_AND_STORAGE = 32768, 32771
DELEGATING = frozenset({"kerberos", "credssp"})
"""Logins with which the host may go on to another machine in the user's name."""
_DOUBLE_HOP = (
    "This login can't be passed on to another machine: log in with CredSSP, or with Kerberos where the "
    "host is trusted for delegation."
)


class MoveVerbs:
    """Export, import and migration on one host. ``auth`` is how we are logged in."""

    def __init__(self, reader: Reader, jobs: Jobs, server: str, auth: str) -> None:
        self._reader = reader
        self._client = reader.client
        self._jobs = jobs
        self._server = server
        self._auth = auth

    def export(self, guid: str, folder: str, ctx: TaskContext) -> None:
        """Export into a sub-folder of ``folder`` on the host, with checkpoints and disks."""
        target = windows_path(folder, "The folder to export to")
        values: dict[str, Value] = {
            "CopySnapshotConfiguration": _ALL_SNAPSHOTS,
            "CopyVmRuntimeInformation": True,
            "CopyVmStorage": True,
            "CreateVmExportSubdirectory": True,
        }
        if self._reader.knows_kinds:
            values["CaptureLiveState"] = _CRASH_CONSISTENT_STATE
        settings = Instance("Msvm_VirtualSystemExportSettingData", values)
        try:
            self._jobs.run(
                self._reader.service(MANAGEMENT),
                "ExportSystemDefinition",
                {"ComputerSystem": vm_epr(guid), "ExportDirectory": target, "ExportSettingData": settings},
                ctx,
                "exporting the VM",
            )
        except PermissionDenied as exc:
            if target.startswith("\\\\") and self._auth not in DELEGATING:
                raise PermissionDenied(_DOUBLE_HOP, exc.detail, code=exc.code) from exc
            raise

    # ---- import --------------------------------------------------------------------------------------------

    def import_(self, path: str, name: str, network_id: str | None, ctx: TaskContext) -> ObjectId:
        """Import from a definition file (.vmcx, .xml) or an exported folder, as a copy with a new id.

        The disks stay where they are: the VM uses those in the exported folder.
        """
        problem = unsendable(name)
        if problem:
            raise InvalidInput(problem)
        definition = self._definition(windows_path(path, "What to import"))
        folder = definition.rpartition("\\")[0].rpartition("\\")[0]
        output = self._jobs.run(
            self._reader.service(MANAGEMENT),
            "ImportSystemDefinition",
            {
                "SystemDefinitionFile": definition,
                "SnapshotFolder": f"{folder}\\Snapshots",
                "GenerateNewSystemIdentifier": True,
            },
            ctx,
            "reading the exported VM",
        )
        planned = output.reference("ImportedSystem")
        guid = planned.keys.get("Name", "").upper() if planned is not None else ""
        if planned is None or not wmi_query.is_guid(guid):
            raise OutcomeUnknown("The host imported the VM but didn't say under which id.")
        try:
            return self._realize(planned, guid, name, network_id, ctx)
        except BaseException:
            self._drop(planned)
            raise

    def _definition(self, path: str) -> str:
        if path.lower().endswith((".vmcx", ".xml", ".exp")):
            return path
        folder = Epr(wmi_uri(CIMV2, "Win32_Directory"), (("Name", f"{path}\\Virtual Machines".lower()),))
        try:
            files = self._client.associated(
                folder, assoc_class="CIM_DirectoryContainsFile", result_class="CIM_DataFile"
            )
        except OperationError as exc:
            log.info("the host doesn't list the folder: %s", exc.detail)
            files = []
        found = [record.text("Name") for record in files if record.text("Name").lower().endswith((".vmcx", ".xml"))]
        if len(found) != 1:
            raise InvalidInput(
                "That folder on the host doesn't hold one exported VM; give the path of its .vmcx file, "
                "which is in “Virtual Machines”.",
                "\n".join(found[:20]),
            )
        return found[0]

    def _realize(self, planned: Epr, guid: str, name: str, network_id: str | None, ctx: TaskContext) -> ObjectId:
        management = self._reader.service(MANAGEMENT)
        if name:
            self._jobs.run(
                management,
                "ModifySystemSettings",
                {
                    "SystemSettings": Instance(
                        "Msvm_VirtualSystemSettingData", {"InstanceID": f"Microsoft:{guid}", "ElementName": name}
                    )
                },
                ctx,
                "naming the VM",
            )
        if network_id:
            self._connect(guid, network_id, ctx)
        self._jobs.run(management, "ValidatePlannedSystem", {"PlannedSystem": planned}, ctx, "checking the VM")
        output = self._jobs.run(management, "RealizePlannedSystem", {"PlannedSystem": planned}, ctx, "importing the VM")
        system = output.reference("ResultingSystem")
        result = system.keys.get("Name", "").upper() if system is not None else guid
        return object_id(result if wmi_query.is_guid(result) else guid)

    def _connect(self, guid: str, network_id: str, ctx: TaskContext) -> None:
        wmi_query.guid(network_id)
        switch = wmi_path.absolute(
            self._server,
            V2,
            "Msvm_VirtualEthernetSwitch",
            {"CreationClassName": "Msvm_VirtualEthernetSwitch", "Name": network_id.upper()},
        )
        rows = self._reader.devices("Msvm_EthernetPortAllocationSettingData", guid)
        cards = [
            Instance(
                "Msvm_EthernetPortAllocationSettingData",
                {"InstanceID": row.text("InstanceID"), "HostResource": [switch], "EnabledState": 2},
            )
            for row in rows
        ]
        if cards:
            self._jobs.run(
                self._reader.service(MANAGEMENT),
                "ModifyResourceSettings",
                {"ResourceSettings": cards},
                ctx,
                "connecting the VM",
            )

    def _drop(self, planned: Epr) -> None:
        try:
            self._jobs.run(
                self._reader.service(MANAGEMENT),
                "DestroySystem",
                {"AffectedSystem": planned},
                TaskContext(),
                "removing the half-imported VM",
            )
        except HvError as exc:
            log.warning("a half-imported VM could not be removed from the host: %s %s", exc.user_text, exc.detail)

    # ---- migration -----------------------------------------------------------------------------------------

    def why_no_migration(self) -> str:
        """Why live migration is impossible from here, or nothing. Asks the host once."""
        rows = self._reader.optional("Msvm_VirtualSystemMigrationServiceSettingData", V2)
        if not rows:
            return "This host doesn't tell whether it can migrate VMs."
        if rows[0].flag("EnableVirtualSystemMigration") is not True:
            return (
                "Live migration is switched off on this host. Switch it on there with: Enable-VMMigration; "
                "Set-VMHost -VirtualMachineMigrationAuthenticationType Kerberos"
            )
        if self._auth not in DELEGATING:
            return _DOUBLE_HOP
        return ""

    def migrate(self, guid: str, destination: str, ctx: TaskContext) -> None:
        """Move a VM with its disks to the host called ``destination``. ``NotSupported`` says why it cannot be."""
        reason = self.why_no_migration()
        if reason:
            raise NotSupported(reason)
        if destination.partition(".")[0].upper() == self._server.upper():
            raise InvalidInput("The VM is on that host already.")
        problem = unsendable(destination)
        if problem or not destination.strip():
            raise InvalidInput(problem or "Name the host to move to.")
        settings = Instance("Msvm_VirtualSystemMigrationSettingData", {"MigrationType": _MIGRATE_VM_AND_STORAGE})
        parameters: dict[str, Parameter] = {
            "ComputerSystem": vm_epr(guid),
            "DestinationHost": destination,
            "MigrationSettingData": settings,
        }
        service = self._reader.service(MIGRATION)
        self._jobs.run(service, "MigrateVirtualSystemToHost", parameters, ctx, "migrating the VM")
