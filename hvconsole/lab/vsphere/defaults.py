"""What every entity of the inventory has, and which properties exist without being set. Pure but for the tree."""

from __future__ import annotations

from typing import Any

from hvconsole.lab.vsphere import custom_fields
from hvconsole.lab.vsphere.property_names import NAMES
from hvconsole.lab.vsphere.tree import Tree
from hvconsole.lab.vsphere.values import Array, Ref, Word, array
from hvconsole.lab.vsphere.vm_properties import Properties

GREEN = Word("ManagedEntityStatus", "green")
ENTITIES = frozenset(
    {
        "Folder",
        "Datacenter",
        "ComputeResource",
        "ClusterComputeResource",
        "HostSystem",
        "VirtualMachine",
        "ResourcePool",
        "Datastore",
        "Network",
        "DistributedVirtualPortgroup",
        "OpaqueNetwork",
    }
)
_EMPTY = {
    "configIssue": "Event",
    "declaredAlarmState": "AlarmState",
    "permission": "Permission",
    "tag": "Tag",
    "triggeredAlarmState": "AlarmState",
    "disabledMethod": "string",
}


def _unset() -> Any:
    return None


def _nothing(of: str) -> Any:
    empty = Array(of, ())
    return lambda: empty


_UNSET: dict[str, Properties] = {
    kind: {name: _unset for name in (*names, *(NAMES["ManagedEntity"] if kind in ENTITIES else ()))}
    for kind, names in NAMES.items()
}
_COMMON: Properties = {
    **{name: _nothing(of) for name, of in _EMPTY.items()},
    "alarmActionsEnabled": lambda: True,
    "configStatus": lambda: GREEN,
    "overallStatus": lambda: GREEN,
    "effectiveRole": lambda: array("int", (-1,)),
}


def complete(tree: Tree, kind: str, moid: str, found: Properties) -> Properties:
    """The properties of an object with those that its class has besides."""
    unset = _UNSET.get(kind)
    if unset is None:
        return found
    if kind not in ENTITIES:
        return {**unset, **found}

    def tasks() -> Array:
        own = [task for task in tree.world.tasks.values() if moid in (task.extra.get("entity"), task.target_id)]
        return array("ManagedObjectReference", (Ref("Task", task.id) for task in own[-20:]))

    filled = {
        "customValue": lambda: custom_fields.values(tree.site, moid),
        "value": lambda: custom_fields.values(tree.site, moid),
        "availableField": lambda: array("CustomFieldDef", custom_fields.definitions(tree.site)),
    }
    return {**unset, **_COMMON, "recentTask": tasks, **filled, **found}
