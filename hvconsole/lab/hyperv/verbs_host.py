"""What is asked about all VMs at once, pictures of screens, and Windows itself going down."""

from __future__ import annotations

import base64

from hvconsole.lab import errors, hosts, power
from hvconsole.lab.hyperv.methods import INVALID_PARAMETER, Call, Method, Output, ReturnValue
from hvconsole.lab.objects import Power, Vm
from hvconsole.lab.tasks import Task

_MAX_PIXELS = 1 << 20


def summary_information(call: Call) -> Output:
    """GetSummaryInformation: of the VMs given, or of all."""
    codes = frozenset(call.parameters.numbers("RequestedInformation"))
    known = {*range(12), *range(100, 137)}
    if call.picture.site.extra.get("old"):
        known -= {10, 11, 132}
    if not codes <= known:
        raise ReturnValue(INVALID_PARAMETER)
    machines = call.picture.machines
    with call.picture.world.lock:
        refs = call.parameters.references("SettingData")
        if refs:
            owners = [call.owner(ref.value("InstanceID")) for ref in refs]
            vms = [owner for owner in owners if isinstance(owner, Vm)]
        else:
            vms = machines.vms()
        return {"SummaryInformation": [machines.summary(vm, codes) for vm in vms]}


def thumbnail(call: Call) -> Output:
    """GetVirtualSystemThumbnailImage: RGB565, as base64, which is how WS-Management writes arrays of bytes."""
    width, height = call.parameters.number("WidthPixels") or 0, call.parameters.number("HeightPixels") or 0
    if not 0 < width * height <= _MAX_PIXELS:
        raise ReturnValue(INVALID_PARAMETER)
    owner = call.settings("TargetSystem")
    running = isinstance(owner, Vm) and owner.power is Power.RUNNING
    if not running:
        return {"ImageData": []}
    rows = bytearray()
    for line in range(height):
        for column in range(width):
            colour = 0x001F if (line // 8 + column // 8) % 2 else 0x0410
            rows += bytes((colour & 0xFF, colour >> 8))
    return {"ImageData": base64.b64encode(rows).decode()}


def reboot(call: Call) -> Output:
    """Win32_OperatingSystem.Reboot."""
    return _go_down(call, restart=True)


def shutdown(call: Call) -> Output:
    """Win32_OperatingSystem.Shutdown."""
    return _go_down(call, restart=False)


def win32_shutdown(call: Call) -> Output:
    """Win32_OperatingSystem.Win32Shutdown: 1 shut down, 2 reboot, 8 power off, +4 forced."""
    flags = (call.parameters.number("Flags") or 0) & ~4
    if flags not in (1, 2, 8):
        return {"ReturnValue": 87}
    return _go_down(call, restart=flags == 2)


def _go_down(call: Call, *, restart: bool) -> Output:
    """VMs are saved first, which is what their AutomaticShutdownAction says."""
    world, host = call.picture.world, call.picture.host
    with world.lock:
        guests = list(world.vms_on(host.id))

    def work(task: Task) -> None:
        for vm in guests:
            try:
                power.suspend(world, vm.id)
            except errors.WorldError:
                with world.lock:
                    power.halt(world, vm)
        (hosts.reboot if restart else hosts.shutdown)(world, host.id)

    world.spawn(
        call.picture.site.id,
        "host down",
        work,
        task=world.new_task(call.picture.site.id, "host down", host.id, recorded=False),
    )
    return {}


def type_on_keyboard(call: Call) -> Output:
    """Msvm_Keyboard: what is typed is kept in ``vm.extra["typed"]``."""
    vm = call.vm_named(str(call.target.get("SystemName")))
    with call.picture.world.lock:
        vm.extra.setdefault("typed", []).append({name: call.parameters.text(name) for name in call.parameters.names})
    return {}


METHODS = {
    "Msvm_Keyboard": {
        "TypeKey": Method(type_on_keyboard, ("keyCode",)),
        "PressKey": Method(type_on_keyboard, ("keyCode",)),
        "ReleaseKey": Method(type_on_keyboard, ("keyCode",)),
        "TypeText": Method(type_on_keyboard, ("asciiText",)),
        "TypeScancodes": Method(type_on_keyboard, ("scancodes",)),
        "TypeCtrlAltDel": Method(type_on_keyboard),
    },
    "Msvm_VirtualSystemManagementService": {
        "GetSummaryInformation": Method(
            summary_information, ("SettingData", "RequestedInformation"), ("SummaryInformation",)
        ),
        "GetVirtualSystemThumbnailImage": Method(
            thumbnail, ("TargetSystem", "WidthPixels", "HeightPixels"), ("ImageData",)
        ),
    },
    "Win32_OperatingSystem": {
        "Reboot": Method(reboot),
        "Shutdown": Method(shutdown),
        "Win32Shutdown": Method(win32_shutdown, ("Flags", "Reserved")),
    },
}
