"""ONE table of what can be asked for. Menu bar, toolbar, context menu, keyboard, command line and the monitor's own
snapshots are all built from it, so they cannot disagree. A row that cannot run says why not.

Pure data and functions; ``Operation.run`` blocks and is called in job threads only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hvconsole import operation_calls as calls
from hvconsole.backends.base import Capability
from hvconsole.errors import NotFound
from hvconsole.model import Host, Inventory, ObjectId, Pool, Verb, Vm, VmKind
from hvconsole.operation import (
    Argument,
    ArgumentKind,
    Operation,
    Question,
    Scope,
    id_argument,
    path_argument,
    secret_argument,
)
from hvconsole.text import safe_text

__all__ = [
    "BY_VERB",
    "OPERATIONS",
    "SERVER_OBJECT",
    "Argument",
    "ArgumentKind",
    "Operation",
    "Question",
    "Scope",
    "find_object",
    "find_vms",
    "operation",
    "plain_vms",
    "subject_name",
    "why_not",
]


_NAME = Argument("name", "Name", ArgumentKind.TEXT, required=True)
_DESCRIPTION = Argument("description", "Description", ArgumentKind.LINES)
_SNAPSHOT = Argument("snapshot", "Snapshot", ArgumentKind.SNAPSHOT, required=True)
_STORAGE = Argument("storage", "Storage", ArgumentKind.STORAGE)
_HOST = Argument("host", "Host", ArgumentKind.HOST, required=True)
_FORCE = Argument("force", "Shut the running VMs down hard", ArgumentKind.FLAG)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        verb=Verb.START,
        label="Start",
        doing="Starting",
        scope=Scope.VM,
        group="power",
        icon="play",
        shortcut="Control-b",
        run=lambda hv, vm, a, ctx: hv.start(vm, ctx),
    ),
    Operation(
        verb=Verb.START_ON,
        label="Start on host",
        doing="Starting",
        scope=Scope.VM,
        group="power",
        icon="play",
        needs=Capability.START_ON,
        arguments=(_HOST,),
        run=lambda hv, vm, a, ctx: hv.start(vm, ctx, host_id=id_argument(a, "host", "a host")),
    ),
    Operation(
        verb=Verb.SHUTDOWN,
        label="Shut down",
        doing="Shutting down",
        scope=Scope.VM,
        group="power",
        icon="power",
        shortcut="Control-e",
        hard=Verb.POWER_OFF,
        question=Question(
            "Shut down “{name}”?", "Shut down {count} VMs?", "The guest is asked to shut down.", "Shut down"
        ),
        run=lambda hv, vm, a, ctx: hv.shutdown(vm, ctx),
    ),
    Operation(
        verb=Verb.REBOOT,
        label="Reboot",
        doing="Rebooting",
        scope=Scope.VM,
        group="power",
        icon="rotate-cw",
        shortcut="Control-r",
        hard=Verb.RESET,
        question=Question("Reboot “{name}”?", "Reboot {count} VMs?", "The guest is asked to restart.", "Reboot"),
        run=lambda hv, vm, a, ctx: hv.reboot(vm, ctx),
    ),
    Operation(
        verb=Verb.SUSPEND,
        label="Suspend",
        doing="Suspending",
        scope=Scope.VM,
        group="power",
        icon="pause",
        shortcut="Control-y",
        needs=Capability.SUSPEND,
        hard=Verb.PAUSE,
        question=Question(
            "Suspend “{name}”?", "Suspend {count} VMs?", "Memory is saved to disk and the VM stops.", "Suspend"
        ),
        run=lambda hv, vm, a, ctx: hv.suspend(vm, ctx),
    ),
    Operation(
        verb=Verb.RESUME,
        label="Resume",
        doing="Resuming",
        scope=Scope.VM,
        group="power",
        icon="play",
        shortcut="Control-Shift-Y",
        needs=Capability.SUSPEND,
        run=lambda hv, vm, a, ctx: hv.resume(vm, ctx),
    ),
    Operation(
        verb=Verb.PAUSE,
        label="Pause",
        doing="Pausing",
        scope=Scope.VM,
        group="power",
        icon="pause",
        needs=Capability.PAUSE,
        run=lambda hv, vm, a, ctx: hv.pause(vm, ctx),
    ),
    Operation(
        verb=Verb.UNPAUSE,
        label="Unpause",
        doing="Unpausing",
        scope=Scope.VM,
        group="power",
        icon="play",
        needs=Capability.PAUSE,
        run=lambda hv, vm, a, ctx: hv.unpause(vm, ctx),
    ),
    Operation(
        verb=Verb.STANDBY,
        label="Guest standby",
        doing="Putting the guest to standby",
        scope=Scope.VM,
        group="power",
        icon="moon",
        needs=Capability.STANDBY,
        question=Question(
            "Put the guest “{name}” to standby?", "Put {count} guests to standby?", "The guest is asked.", "Standby"
        ),
        run=lambda hv, vm, a, ctx: hv.standby(vm, ctx),
    ),
    Operation(
        verb=Verb.POWER_OFF,
        label="Power off",
        doing="Powering off",
        scope=Scope.VM,
        group="power",
        icon="power-off",
        destructive=True,
        question=Question(
            "Power off “{name}” hard?",
            "Power off {count} VMs hard?",
            "Like pulling the plug: unsaved data is lost, and an operation in progress on it is cancelled.",
            "Power off",
        ),
        run=lambda hv, vm, a, ctx: hv.power_off(vm, ctx),
    ),
    Operation(
        verb=Verb.RESET,
        label="Reset",
        doing="Resetting",
        scope=Scope.VM,
        group="power",
        icon="zap",
        destructive=True,
        question=Question(
            "Reset “{name}” hard?",
            "Reset {count} VMs hard?",
            "Like the reset button: unsaved data is lost.",
            "Reset",
        ),
        run=lambda hv, vm, a, ctx: hv.reset(vm, ctx),
    ),
    Operation(
        verb=Verb.SNAPSHOT,
        label="Take snapshot",
        doing="Taking a snapshot",
        scope=Scope.VM,
        group="snapshot",
        icon="camera",
        shortcut="Control-Shift-S",
        needs=Capability.SNAPSHOT,
        arguments=(
            _NAME,
            _DESCRIPTION,
            Argument("memory", "With memory", ArgumentKind.FLAG),
            Argument("quiesce", "Quiesce the guest's file systems", ArgumentKind.FLAG),
        ),
        run=calls.snapshot,
    ),
    Operation(
        verb=Verb.REVERT,
        label="Revert to snapshot",
        doing="Reverting",
        scope=Scope.SNAPSHOT,
        group="snapshot",
        icon="undo-2",
        needs=Capability.SNAPSHOT,
        destructive=True,
        arguments=(_SNAPSHOT,),
        question=Question(
            "Revert “{name}” to this snapshot?",
            "Revert {count} VMs?",
            "Everything since the snapshot is lost: take another snapshot first to keep the present state.",
            "Revert",
        ),
        run=lambda hv, vm, a, ctx: hv.revert(vm, id_argument(a, "snapshot", "a snapshot"), ctx),
    ),
    Operation(
        verb=Verb.DELETE_SNAPSHOT,
        label="Delete snapshot",
        doing="Deleting a snapshot",
        scope=Scope.SNAPSHOT,
        group="snapshot",
        icon="trash-2",
        needs=Capability.SNAPSHOT,
        destructive=True,
        arguments=(_SNAPSHOT, Argument("children", "And all that descend from it", ArgumentKind.FLAG)),
        question=Question(
            "Delete this snapshot of “{name}”?",
            "Delete {count} snapshots?",
            "The saved state is lost; the VM itself keeps running as it is.",
            "Delete snapshot",
        ),
        run=calls.delete_snapshot,
    ),
    Operation(
        verb=Verb.CREATE,
        label="New VM",
        doing="Creating a VM",
        scope=Scope.SERVER,
        group="life",
        icon="plus",
        shortcut="Control-n",
        needs=Capability.CREATE,
        arguments=(Argument("spec", "Description of the VM", ArgumentKind.SPEC, required=True),),
        run=calls.create_vm,
    ),
    Operation(
        verb=Verb.CLONE,
        label="Clone",
        doing="Cloning",
        scope=Scope.VM,
        group="life",
        icon="copy",
        needs=Capability.CLONE,
        arguments=(_NAME,),
        run=calls.clone_vm(full=False),
    ),
    Operation(
        verb=Verb.COPY,
        label="Full copy",
        doing="Copying",
        scope=Scope.VM,
        group="life",
        icon="copy",
        needs=Capability.COPY,
        arguments=(_NAME, _STORAGE),
        run=calls.clone_vm(full=True),
    ),
    Operation(
        verb=Verb.MIGRATE,
        label="Migrate",
        doing="Migrating",
        scope=Scope.VM,
        group="life",
        icon="arrow-right-left",
        needs=Capability.MIGRATE,
        arguments=(
            Argument("host", "Host to move to", ArgumentKind.HOST),
            Argument("storage", "Storage that its disks move to, where the server can do that", ArgumentKind.STORAGE),
        ),
        one_of=("host", "storage"),
        run=calls.migrate,
    ),
    Operation(
        verb=Verb.RENAME,
        label="Rename",
        doing="Renaming",
        scope=Scope.VM,
        group="life",
        icon="pencil",
        shortcut="F2",
        arguments=(_NAME, _DESCRIPTION),
        run=calls.rename,
    ),
    Operation(
        verb=Verb.TO_TEMPLATE,
        label="Convert to template",
        doing="Converting to a template",
        scope=Scope.VM,
        group="life",
        icon="layers",
        needs=Capability.TO_TEMPLATE,
        question=Question(
            "Turn “{name}” into a template?",
            "Turn {count} VMs into templates?",
            "A template can't be started; new VMs are made from it.",
            "Convert",
        ),
        run=lambda hv, vm, a, ctx: hv.to_template(vm, ctx),
    ),
    Operation(
        verb=Verb.TO_VM,
        label="Convert to VM",
        doing="Converting to a VM",
        scope=Scope.VM,
        group="life",
        icon="monitor",
        needs=Capability.TO_VM,
        run=lambda hv, vm, a, ctx: hv.to_vm(vm, ctx),
    ),
    Operation(
        verb=Verb.EXPORT,
        label="Export",
        doing="Exporting",
        scope=Scope.VM,
        group="life",
        icon="upload",
        needs=Capability.EXPORT,
        arguments=(
            Argument("to", "File", ArgumentKind.SAVE_FILE, required=True),
            Argument("compress", "Compress", ArgumentKind.FLAG),
        ),
        run=lambda hv, vm, a, ctx: hv.export_vm(vm, path_argument(a, "to"), ctx, compress=bool(a.get("compress"))),
    ),
    Operation(
        verb=Verb.IMPORT,
        label="Import",
        doing="Importing",
        scope=Scope.SERVER,
        group="life",
        icon="download",
        needs=Capability.IMPORT,
        arguments=(
            Argument("from", "File", ArgumentKind.OPEN_FILE, required=True),
            Argument("name", "Name", ArgumentKind.TEXT),
            _STORAGE,
            Argument("host", "Host", ArgumentKind.HOST),
            Argument("network", "Network that its cards are connected to", ArgumentKind.NETWORK),
        ),
        run=calls.import_vm,
    ),
    Operation(
        verb=Verb.DELETE,
        label="Delete",
        doing="Deleting",
        scope=Scope.VM,
        group="life",
        icon="trash-2",
        shortcut="Delete",
        destructive=True,
        arguments=(Argument("keep_disks", "Disks to keep", ArgumentKind.DISKS),),
        question=Question(
            "Delete “{name}”?",
            "Delete {count} VMs?",
            "The VM, its snapshots and its disks are gone for good.",
            "Delete",
        ),
        run=calls.delete_vm,
    ),
    Operation(
        verb=Verb.UNREGISTER,
        label="Remove from inventory",
        doing="Removing from the inventory",
        scope=Scope.VM,
        group="life",
        icon="unplug",
        needs=Capability.UNREGISTER,
        destructive=True,
        question=Question(
            "Remove “{name}” from the inventory?",
            "Remove {count} VMs from the inventory?",
            "The server forgets the VM and its place; files that still exist stay where they are. If only its host or "
            "datastore is away for a while, bring that back instead.",
            "Remove",
        ),
        run=lambda hv, vm, a, ctx: hv.unregister(vm, ctx),
    ),
    Operation(
        verb=Verb.ENTER_MAINTENANCE,
        label="Enter maintenance mode",
        doing="Entering maintenance mode",
        scope=Scope.HOST,
        group="host",
        icon="wrench",
        needs=Capability.MAINTENANCE,
        question=Question(
            "Put “{name}” into maintenance mode?",
            "Put {count} hosts into maintenance mode?",
            "It accepts no new VMs, and its running VMs move to other hosts.",
            "Put {what} into maintenance",
        ),
        run=lambda hv, host, a, ctx: hv.enter_maintenance(host, ctx),
    ),
    Operation(
        verb=Verb.LEAVE_MAINTENANCE,
        label="Leave maintenance mode",
        doing="Leaving maintenance mode",
        scope=Scope.HOST,
        group="host",
        icon="check",
        needs=Capability.MAINTENANCE,
        run=lambda hv, host, a, ctx: hv.leave_maintenance(host, ctx),
    ),
    Operation(
        verb=Verb.HOST_REBOOT,
        label="Restart host",
        doing="Restarting the host",
        scope=Scope.HOST,
        group="host",
        icon="rotate-cw",
        needs=Capability.HOST_POWER,
        destructive=True,
        arguments=(_FORCE,),
        question=Question(
            "Restart the host “{name}”?", "Restart {count} hosts?", "VMs that run there stop.", "Restart"
        ),
        run=lambda hv, host, a, ctx: hv.host_reboot(host, ctx, force=bool(a.get("force"))),
    ),
    Operation(
        verb=Verb.HOST_SHUTDOWN,
        label="Switch host off",
        doing="Switching the host off",
        scope=Scope.HOST,
        group="host",
        icon="power-off",
        needs=Capability.HOST_POWER,
        destructive=True,
        arguments=(_FORCE,),
        question=Question(
            "Switch the host “{name}” off?", "Switch {count} hosts off?", "VMs that run there stop.", "Switch off"
        ),
        run=lambda hv, host, a, ctx: hv.host_shutdown(host, ctx, force=bool(a.get("force"))),
    ),
    Operation(
        verb=Verb.CHANGE_PASSWORD,
        label="Change password",
        doing="Changing the password",
        scope=Scope.SERVER,
        group="server",
        icon="key-round",
        needs=Capability.CHANGE_PASSWORD,
        arguments=(
            Argument("old", "Current password", ArgumentKind.PASSWORD, required=True),
            Argument("new", "New password", ArgumentKind.PASSWORD, required=True),
        ),
        run=lambda hv, _server, a, ctx: hv.change_password(secret_argument(a, "old"), secret_argument(a, "new"), ctx),
    ),
    Operation(
        verb=Verb.BECOME_MASTER,
        label="Make this host master",
        doing="Making this host the master",
        scope=Scope.SERVER,
        group="server",
        icon="crown",
        needs=Capability.EMERGENCY,
        destructive=True,
        question=Question(
            "Make this host the pool's master?",
            "",
            "Do this only when the old master is dead for good: two masters damage the pool.",
            "Make master",
        ),
        run=lambda hv, _server, a, ctx: hv.become_master(ctx),
    ),
    Operation(
        verb=Verb.POINT_TO_MASTER,
        label="Point to another master",
        doing="Pointing to another master",
        scope=Scope.SERVER,
        group="server",
        icon="network",
        needs=Capability.EMERGENCY,
        destructive=True,
        arguments=(Argument("address", "Address of the new master", ArgumentKind.TEXT, required=True),),
        question=Question(
            "Point this host to another master?",
            "",
            "The host joins the master at the address you give.",
            "Point to master",
        ),
        run=calls.point_to_master,
    ),
)
"""In the order of the menus."""

BY_VERB: Mapping[Verb, Operation] = {operation.verb: operation for operation in OPERATIONS}

SERVER_OBJECT = ObjectId("")
"""The object id of operations whose scope is the server itself."""


def operation(verb: Verb) -> Operation:
    """The row of a verb that has one (all but the variants of snapshot)."""
    return BY_VERB[verb]


def find_object(inventory: Inventory, scope: Scope, object_id: ObjectId) -> Vm | Host | Pool | None:
    """The object that an operation of this scope is done to; None if it is gone (or is the server itself)."""
    if scope in (Scope.VM, Scope.SNAPSHOT):
        return inventory.vms.get(object_id)
    if scope is Scope.HOST:
        return inventory.hosts.get(object_id)
    return None


def why_not(
    operation: Operation, inventory: Inventory | None, object_id: ObjectId, capabilities: Capability
) -> str | None:
    """One sentence why this can't be done now, or None. What the server itself refuses comes from its refusals."""
    if inventory is None:
        return "Not connected to this server."
    if operation.needs and operation.needs not in capabilities:
        if inventory.server.read_only:
            return inventory.server.read_only
        # a backend that can say more than "not here" puts it among the object's refusals
        owner = find_object(inventory, operation.scope, object_id)
        if owner is not None and operation.verb in owner.refusals:
            return owner.refusals[operation.verb]
        return f"{safe_text(inventory.server.product, 60)} doesn't offer this here."
    if inventory.server.read_only:
        return inventory.server.read_only
    if operation.scope is Scope.SERVER:
        refusals = [pool.refusals.get(operation.verb) for pool in inventory.pools.values()]
        return next((reason for reason in refusals if reason), None)
    found = find_object(inventory, operation.scope, object_id)
    if found is None:
        return "It no longer exists on the server."
    if isinstance(found, Vm) and operation.scope is Scope.SNAPSHOT and not found.snapshots:
        return "This VM has no snapshots."
    return found.refusals.get(operation.verb)


def subject_name(
    inventory: Inventory, operation: Operation, object_id: ObjectId, arguments: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """What the operation is done to or makes, by its name on the server (hostile)."""
    found = find_object(inventory, operation.scope, object_id)
    if found is not None:
        return found.name
    return _made_name(operation.verb, arguments) or inventory.server.address


def _made_name(verb: Verb, arguments: Mapping[str, Any]) -> str:
    """The name of the VM that there will be; of an import without one, the file's."""
    if verb is Verb.CREATE:
        return str(getattr(arguments.get("spec"), "name", ""))
    if verb is Verb.IMPORT:
        return str(arguments.get("name") or Path(str(arguments.get("from") or "")).name)
    return ""


def plain_vms(inventory: Inventory) -> tuple[Vm, ...]:
    """The VMs proper: no templates, no control domains."""
    return tuple(vm for vm in inventory.vms.values() if vm.kind is VmKind.VM)


def find_vms(inventory: Inventory, text: str) -> tuple[Vm, ...]:
    """VMs by id or UUID (any case), else all whose name is exactly ``text``. Templates are found too, VMs first.

    Raises ``NotFound`` when nothing matches.
    """
    wanted = text.strip().lower()
    by_id = [vm for vm in inventory.vms.values() if wanted in (vm.id.lower(), vm.uuid.lower())]
    named = by_id or [vm for vm in inventory.vms.values() if vm.name == text]
    proper = [vm for vm in named if vm.kind is VmKind.VM]
    if not named:
        raise NotFound(f"There is no VM “{safe_text(text, 80)}” on {safe_text(inventory.server.address, 80)}.")
    return tuple(proper or named)
