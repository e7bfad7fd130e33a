"""/vncsnapshot: a picture of what a VM's screen might show. /console: refused, the lab has no screens to share."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from hvconsole.lab.objects import Vm
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.requests import HttpRefusal, Request

_SIZE = (720, 400)


def screenshot(request: Request) -> None:
    """A JPEG of the VM (or console) ``uuid``; 404 where there is no console on this host."""
    vm = _vm_with_console(request)
    picture = draw(vm)
    conversation = request.conversation
    conversation.send_response_only(200, "OK")
    for name, value in (("connection", "close"), ("cache-control", "no-cache, no-store"),
                        ("content-type", "image/jpeg"), ("content-length", str(len(picture)))):
        conversation.send_header(name, value)
    conversation.end_headers()
    conversation.wfile.write(picture)
    conversation.wfile.flush()
    conversation.close_connection = True


def console(request: Request) -> None:
    """Every console is taken: what a pool with a limit of one viewer says."""
    _vm_with_console(request)
    raise HttpRefusal(503)


def _vm_with_console(request: Request) -> Vm:
    wanted = request.parameters.get("uuid") or request.parameters.get("ref", "")
    world = request.pool.world
    with world.lock:
        for vm in world.vms.values():
            names = (vm.id, refs.uuid(vm), refs.ref(vm), refs.uuid(vm, "console"), refs.ref(vm, "console"))
            if wanted in names and vm.host_id == request.member.host_id and not vm.is_control_domain:
                return vm
    raise HttpRefusal(404)


def draw(vm: Vm) -> bytes:
    """A text screen with a login prompt as JPEG."""
    image = Image.new("RGB", _SIZE, (12, 12, 16))
    pen = ImageDraw.Draw(image)
    name = vm.guest.hostname or "localhost"
    system = vm.guest.os or "No operating system"
    if vm.guest.family == "windows":
        pen.rectangle((0, 0, *_SIZE), fill=(0, 60, 110))
        pen.text((_SIZE[0] // 2 - 90, _SIZE[1] // 2 - 20), "Press Ctrl+Alt+Delete to unlock.", fill=(255, 255, 255))
        pen.text((20, _SIZE[1] - 30), name.encode("ascii", "replace").decode(), fill=(200, 220, 240))
    else:
        for number, line in enumerate((f"{system} {name} tty1", "", f"{name} login: _")):
            pen.text((12, 12 + 18 * number), line.encode("ascii", "replace").decode(), fill=(190, 200, 190))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()
