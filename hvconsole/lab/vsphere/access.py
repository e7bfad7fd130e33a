"""Roles, privileges, settings and the words that a server explains itself with. Pure but for what a site keeps."""

from __future__ import annotations

from hvconsole.lab.objects import Site
from hvconsole.lab.vsphere.custom_fields import definitions
from hvconsole.lab.vsphere.host_more import HOST_OPTIONS
from hvconsole.lab.vsphere.values import Array, Data, Typed, array, long
from hvconsole.lab.vsphere.vm_properties import Properties

PRIVILEGES = tuple(
    """System.Anonymous System.Read System.View Global.CancelTask Global.Licenses Global.LogEvent
Global.Settings Host.Config.Maintenance Host.Config.Power Datastore.AllocateSpace Datastore.Browse Network.Assign
Resource.AssignVMToPool Resource.ColdMigrate Resource.HotMigrate Sessions.ValidateSession
VirtualMachine.Config.AddNewDisk VirtualMachine.Config.CPUCount VirtualMachine.Config.Memory
VirtualMachine.Config.Rename VirtualMachine.Interact.ConsoleInteract VirtualMachine.Interact.PowerOff
VirtualMachine.Interact.PowerOn VirtualMachine.Interact.Reset VirtualMachine.Interact.Suspend
VirtualMachine.Inventory.Create VirtualMachine.Inventory.Delete VirtualMachine.Provisioning.Clone
VirtualMachine.Provisioning.MarkAsTemplate VirtualMachine.Provisioning.MarkAsVM VirtualMachine.State.CreateSnapshot
VirtualMachine.State.RemoveSnapshot VirtualMachine.State.RenameSnapshot VirtualMachine.State.RevertToSnapshot
""".split()
)
_ROLES = (
    (-1, "Admin", "Administrator", PRIVILEGES),
    (-2, "ReadOnly", "Read-only", PRIVILEGES[:3]),
    (-4, "Anonymous", "Anonymous", PRIVILEGES[:1]),
    (-5, "NoAccess", "No access", ()),
)
_SETTINGS = (
    ("config.log.level", "info"),
    ("event.maxAge", 30),
    ("task.maxAge", 30),
    ("VirtualCenter.InstanceName", "vc.meridian.example"),
    ("client.timeout", long(1800)),
)
INTERVALS = (
    (1, 300, "Past day", 86_400),
    (2, 1_800, "Past week", 604_800),
    (3, 7_200, "Past month", 2_592_000),
    (4, 86_400, "Past year", 31_536_000),
)


def words(label: str, key: str) -> Data:
    """``ElementDescription``."""
    return Data("ElementDescription", label=label, summary=label, key=key)


def roles() -> Array:
    """The roles that every server has."""
    return array(
        "AuthorizationRole",
        (
            Data(
                "AuthorizationRole",
                roleId=number,
                system=True,
                name=name,
                info=Data("Description", label=label, summary=label),
                privilege=array("string", privileges),
            )
            for number, name, label, privileges in _ROLES
        ),
    )


def privileges() -> Array:
    """The privileges that this server knows."""
    return array(
        "AuthorizationPrivilege",
        (
            Data(
                "AuthorizationPrivilege",
                privId=name,
                onParent=False,
                name=name.rpartition(".")[2],
                privGroupName=name.rpartition(".")[0],
            )
            for name in PRIVILEGES
        ),
    )


def options_of(site: Site, manager: str) -> list[Data]:
    """The settings of an option manager: the server's own, or those of one host."""
    values = dict(_SETTINGS if manager == "VpxSettings" else HOST_OPTIONS)
    values.update(site.extra.get("options", {}).get(manager, {}))
    return [Data("OptionValue", key=key, value=Typed(value)) for key, value in values.items()]


def descriptions(site: Site) -> dict[str, Properties]:
    """What managers say about themselves, by class."""

    def tasks() -> Data:
        return Data(
            "TaskDescription",
            methodInfo=array(
                "ElementDescription",
                (
                    words("Power on virtual machine", "VirtualMachine.powerOn"),
                    words("Power off virtual machine", "VirtualMachine.powerOff"),
                    words("Create virtual machine snapshot", "VirtualMachine.createSnapshot"),
                ),
            ),
            state=array(
                "ElementDescription",
                (words(name.capitalize(), name) for name in ("queued", "running", "success", "error")),
            ),
            reason=array(
                "TypeDescription", (Data("TypeDescription", label="user", summary="user", key="TaskReasonUser"),)
            ),
        )

    def events() -> Data:
        return Data(
            "EventDescription",
            category=array(
                "ElementDescription", (words(name.capitalize(), name) for name in ("info", "warning", "error", "user"))
            ),
            eventInfo=array(
                "EventDescriptionEventDetail",
                (
                    Data(
                        "EventDescriptionEventDetail",
                        key=key,
                        description=text,
                        category="info",
                        formatOnDatacenter=text,
                        formatOnComputeResource=text,
                        formatOnHost=text,
                        formatOnVm=text,
                        fullFormat=text,
                    )
                    for key, text in (("VmPoweredOnEvent", "VM powered on"), ("VmPoweredOffEvent", "VM powered off"))
                ),
            ),
        )

    def performance() -> Data:
        return Data(
            "PerformanceDescription",
            counterType=array("ElementDescription", (words(one, one) for one in ("average", "latest"))),
            statsType=array("ElementDescription", (words(one, one) for one in ("absolute", "delta", "rate"))),
        )

    return {
        "TaskManager": {"description": tasks},
        "EventManager": {"description": events},
        "PerformanceManager": {
            "description": performance,
            "historicalInterval": lambda: array(
                "PerfInterval",
                (
                    Data(
                        "PerfInterval", key=key, samplingPeriod=period, name=name, length=length, level=1, enabled=True
                    )
                    for key, period, name, length in INTERVALS
                ),
            ),
        },
        "AuthorizationManager": {
            "roleList": roles,
            "privilegeList": privileges,
            "description": lambda: Data(
                "AuthorizationDescription",
                privilege=array("ElementDescription", (words(name, name) for name in PRIVILEGES)),
                privilegeGroup=array(
                    "ElementDescription",
                    (words(name, name) for name in sorted({one.rpartition(".")[0] for one in PRIVILEGES})),
                ),
            ),
        },
        "LicenseManager": {
            "source": lambda: Data("LocalLicenseSource", licenseKeys=""),
            "sourceAvailable": lambda: True,
            "evaluation": lambda: Data("LicenseManagerEvaluationInfo", properties=array("KeyAnyValue", ())),
        },
        "OptionManager": {
            "setting": lambda: array("OptionValue", options_of(site, "VpxSettings")),
            "supportedOption": lambda: array("OptionDef", ()),
        },
        "ServiceInstance": {
            "capability": lambda: Data(
                "Capability",
                provisioningSupported=site.flavour != "esxi",
                multiHostSupported=site.flavour != "esxi",
                userShellAccessSupported=site.flavour == "esxi",
            )
        },
        "ExtensionManager": {"extensionList": lambda: array("Extension", ())},
        "CustomFieldsManager": {"field": lambda: array("CustomFieldDef", definitions(site))},
        "CustomizationSpecManager": {"info": lambda: array("CustomizationSpecInfo", ())},
        "ScheduledTaskManager": {
            "scheduledTask": lambda: array("ManagedObjectReference", ()),
            "description": lambda: None,
        },
        "AlarmManager": {"defaultExpression": lambda: array("AlarmExpression", ()), "description": lambda: None},
    }
