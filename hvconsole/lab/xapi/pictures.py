"""/vncsnapshot: a picture of what a VM's screen might show. /console: refused, the lab has no screens to share."""

from __future__ import annotations

from hvconsole.lab.objects import Vm
from hvconsole.lab.screens import draw
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.requests import HttpRefusal, Request


def screenshot(request: Request) -> None:
    """A JPEG of the VM (or console) ``uuid``; 404 where there is no console on this host."""
    vm = _vm_with_console(request)
    picture = draw(vm, "JPEG")
    conversation = request.conversation
    conversation.send_response_only(200, "OK")
    for name, value in (
        ("connection", "close"),
        ("cache-control", "no-cache, no-store"),
        ("content-type", "image/jpeg"),
        ("content-length", str(len(picture))),
    ):
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
