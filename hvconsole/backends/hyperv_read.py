"""What is asked of a host, and how: each question with the forms in which older or stranger hosts understand it.

The first form that works is remembered. Columns are named wherever lists are long, because a full row of a VM is
2 KiB and an envelope 500 KiB. Any worker thread; the remembered forms are only hints.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from hvconsole.backends import wmi_query
from hvconsole.backends.hyperv_facts import settings_epr
from hvconsole.backends.wsman import WsmanClient
from hvconsole.backends.wsman_envelope import CIMV2, V2, Epr, wmi_uri
from hvconsole.backends.wsman_faults import FaultError, check_return
from hvconsole.backends.wsman_reply import Record
from hvconsole.errors import BadReply, HvError, InvalidInput, NotFound, NotSupported, OperationError, PermissionDenied

log = logging.getLogger(__name__)

T = TypeVar("T")

_SYSTEM = (
    "Name",
    "ElementName",
    "EnabledState",
    "OtherEnabledState",
    "HealthState",
    "OperationalStatus",
    "OnTimeInMilliseconds",
)
_SETTINGS = (
    "InstanceID",
    "ElementName",
    "VirtualSystemIdentifier",
    "VirtualSystemType",
    "Parent",
    "CreationTime",
    "Notes",
)
_SETTINGS_NEWER = (*_SETTINGS, "VirtualSystemSubType", "UserSnapshotType", "IsSaved")
_SETTINGS_2012R2 = (*_SETTINGS, "VirtualSystemSubType")
_HARDWARE = (
    "InstanceID",
    "ElementName",
    "ResourceType",
    "ResourceSubType",
    "VirtualQuantity",
    "Address",
    "Parent",
    "HostResource",
)
_HARDWARE_CLASSES = (
    "Msvm_ProcessorSettingData",
    "Msvm_MemorySettingData",
    "Msvm_SyntheticEthernetPortSettingData",
    "Msvm_EmulatedEthernetPortSettingData",
    "Msvm_EthernetPortAllocationSettingData",
    "Msvm_StorageAllocationSettingData",
)
_SUMMARY = (0, 1, 4, 100, 101, 103, 104, 105, 106, 109, 110, 121)
_SUMMARY_NEWER = (*_SUMMARY, 132)
MANAGEMENT = "Msvm_VirtualSystemManagementService"
SNAPSHOTS = "Msvm_VirtualSystemSnapshotService"
IMAGES = "Msvm_ImageManagementService"
MIGRATION = "Msvm_VirtualSystemMigrationService"


class Reader:
    """The questions. Raises ``HvError``."""

    def __init__(self, client: WsmanClient) -> None:
        self._client = client
        self._form: dict[str, int] = {}
        self._services: dict[str, Epr] = {}
        self.server_name = ""
        """The host's computer name, known once a service was asked for."""

    @property
    def client(self) -> WsmanClient:
        """The client that the questions go through."""
        return self._client

    @property
    def knows_kinds(self) -> bool:
        """Whether the host tells production from standard checkpoints: Windows Server 2016, Windows 10 and newer.

        Taken to be so until settings were asked for.
        """
        return self._form.get("settings", 0) in (0, 3)

    def service(self, class_name: str) -> Epr:
        """The reference to a service, as the host itself writes it; asked once.

        Raises ``PermissionDenied`` where the host shows none: that is how it hides things from users without rights.
        """
        known = self._services.get(class_name)
        if known is not None:
            return known
        found = self._client.instances(V2, class_name, with_epr=True)
        if not found:
            raise PermissionDenied(
                "The host shows no virtual machines to this user. It needs to be a member of Hyper-V Administrators, "
                "and a local account other than the built-in Administrator needs remote token filtering switched off.",
                f"no instance of {class_name}",
            )
        record = found[0]
        self.server_name = self.server_name or record.text("SystemName")
        epr = record.epr or Epr(
            wmi_uri(V2, class_name),
            tuple(
                (key, record.text(key))
                for key in ("SystemCreationClassName", "SystemName", "CreationClassName", "Name")
            ),
        )
        self._services[class_name] = epr
        return epr

    # ---- VMs -----------------------------------------------------------------------------------------------

    def systems(self) -> list[Record]:
        """States of all VMs (and the host's own row) as Msvm_ComputerSystem; cheap for many VMs."""
        return self._first(
            "systems",
            (
                lambda: self._client.query(V2, wmi_query.select("Msvm_ComputerSystem", _SYSTEM)),
                lambda: self._client.query(V2, wmi_query.select("Msvm_ComputerSystem")),
                lambda: self._client.instances(V2, "Msvm_ComputerSystem"),
            ),
        )

    def summaries(self, guids: Iterable[str] = ()) -> list[Record]:
        """Summaries of these VMs (none: of all) in one request. Raises ``FaultError`` (too large) for too many."""
        service = self.service(MANAGEMENT)
        refs = [settings_epr(guid) for guid in guids]

        def ask(codes: tuple[int, ...]) -> list[Record]:
            value, output = self._client.call(
                service, "GetSummaryInformation", {"SettingData": refs, "RequestedInformation": codes}
            )
            check_return(value)
            return list(output.records("SummaryInformation"))

        return self._first(
            "summaries", (lambda: ask(_SUMMARY_NEWER), lambda: ask(_SUMMARY)), also=(InvalidInput, NotSupported)
        )

    def settings(self, vm_guid: str = "") -> list[Record]:
        """Settings and checkpoints of all VMs, or of one."""
        where = f"VirtualSystemIdentifier = {wmi_query.guid(vm_guid)}" if vm_guid else ""

        def ask(columns: tuple[str, ...]) -> list[Record]:
            return self._client.query(V2, wmi_query.select("Msvm_VirtualSystemSettingData", columns, where))

        return self._first(
            "settings",
            (lambda: ask(_SETTINGS_NEWER), lambda: ask(_SETTINGS_2012R2), lambda: ask(_SETTINGS), lambda: ask(())),
        )

    def guest_networks(self) -> list[Record]:
        """What guests say about their cards; empty where the host does not know that class."""
        name = "Msvm_GuestNetworkAdapterConfiguration"
        return self._first(
            "guest networks",
            (
                lambda: self._client.query(V2, wmi_query.select(name, ("InstanceID", "IPAddresses"))),
                lambda: self._client.query(V2, wmi_query.select(name)),
                list,
            ),
        )

    def told(self, guids: Sequence[str]) -> list[Record]:
        """What the guests of these VMs say about themselves; empty where the host does not know that class."""
        name = "Msvm_KvpExchangeComponent"
        where = " OR ".join(f"SystemName = {wmi_query.guid(guid)}" for guid in guids)
        return self._first(
            "told",
            (
                lambda: self._client.query(
                    V2, wmi_query.select(name, ("SystemName", "GuestIntrinsicExchangeItems"), where)
                ),
                lambda: self._client.query(V2, wmi_query.select(name, (), where)),
                list,
            ),
        )

    def hardware(self, guids: Sequence[str] = ()) -> list[Record]:
        """Processors, memory, cards with their connections, and media of these VMs (none: of all)."""
        owners = " OR ".join(wmi_query.belongs_to("InstanceID", guid) for guid in guids)
        kinds = "(ResourceType = 3 OR ResourceType = 4 OR ResourceType = 10 OR ResourceType = 31 OR ResourceType = 33)"
        where = f"{kinds} AND ({owners})" if owners else kinds

        def one_question() -> list[Record]:
            return self._client.query(V2, wmi_query.select("CIM_ResourceAllocationSettingData", _HARDWARE, where))

        def class_by_class() -> list[Record]:
            return [record for name in _HARDWARE_CLASSES for record in self._optional(name, owners)]

        return self._first("hardware", (one_question, class_by_class))

    def _optional(self, class_name: str, where: str) -> list[Record]:
        try:
            return self._client.query(V2, wmi_query.select(class_name, (), where))
        except (FaultError, NotFound):
            return []

    def devices(self, class_name: str, vm_guid: str) -> list[Record]:
        """Full rows of one class of settings of one VM."""
        return self._client.query(V2, wmi_query.select(class_name, (), wmi_query.belongs_to("InstanceID", vm_guid)))

    def component(self, class_name: str, vm_guid: str) -> Record | None:
        """An integration component of a VM; None while the VM does not run."""
        found = self._client.query(
            V2, wmi_query.select(class_name, (), f"SystemName = {wmi_query.guid(vm_guid)}"), with_epr=True
        )
        return found[0] if found else None

    def system(self, vm_guid: str) -> Record:
        """One VM's row of Msvm_ComputerSystem. Raises ``NotFound``."""
        found = self._client.query(V2, wmi_query.select("Msvm_ComputerSystem", (), f"Name = {wmi_query.guid(vm_guid)}"))
        if not found:
            raise NotFound("The VM doesn't exist on the host any more.")
        return found[0]

    # ---- the host ------------------------------------------------------------------------------------------

    def all_of(self, class_name: str, namespace: str = CIMV2) -> list[Record]:
        """All rows of a class."""
        return self._client.instances(namespace, class_name)

    def optional(self, class_name: str, namespace: str = CIMV2) -> list[Record]:
        """All rows of a class; none where this user may not see it or the host does not have it."""
        try:
            return self._client.instances(namespace, class_name)
        except (OperationError, BadReply) as exc:
            log.info("the host doesn't tell about %s: %s", class_name, exc.detail or exc.user_text)
            return []

    # ---- forms ---------------------------------------------------------------------------------------------

    def _first(self, name: str, forms: Sequence[Callable[[], T]], also: tuple[type[HvError], ...] = ()) -> T:
        """The answer to the first form that this host understands."""
        index = self._form.get(name, 0)
        refusals: tuple[type[HvError], ...] = (FaultError, NotFound, *also)
        while True:
            try:
                answer = forms[index]()
            except refusals as exc:
                # Hosts disagree on the code for a class, column or method that they do not have.
                if index + 1 == len(forms) or (isinstance(exc, FaultError) and exc.fault.too_large):
                    raise
                log.info("asking for %s in another way: %s", name, exc.detail)
            else:
                self._form[name] = index
                return answer
            index += 1
