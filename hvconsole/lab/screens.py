"""What the screens of simulated VMs show. Pure; any thread."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from hvconsole.lab.objects import Vm

_SIZE = (720, 400)


def draw(vm: Vm, form: str) -> bytes:
    """A text screen with a login prompt, or a locked Windows; ``form``: "JPEG" or "PNG"."""
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
    image.save(file, form)
    return file.getvalue()
