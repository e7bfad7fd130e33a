"""Finding VMs in what a host shows."""

from __future__ import annotations

from hvconsole.backends.hyperv import HypervHost
from hvconsole.model import Inventory, ObjectId, Vm


def named(inventory: Inventory, name: str) -> Vm:
    return next(vm for vm in inventory.vms.values() if vm.name == name)


def seen(hv: HypervHost, vm_id: ObjectId) -> Vm:
    hv.refresh()
    shown = hv.watch(5)
    assert shown is not None
    return shown.vms[vm_id]
