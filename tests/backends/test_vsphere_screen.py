"""Pictures of the screens of vSphere VMs: who gets them, and what else a server may send in their place."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from hvconsole.backends.base import TaskContext
from hvconsole.errors import BadPowerState, BadReply, HvError, NotFound, NotSupported, PermissionDenied
from hvconsole.lab.sites import Identity
from hvconsole.lab.vsphere import server as lab_server
from hvconsole.model import ObjectId

from .vsphere_lab import VsphereLab, first, named, vsphere_lab


@pytest.fixture
def lab(lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity, esxi=True) as lab:
        yield lab


def test_screen_of_a_running_vm_until_it_is_off(lab: VsphereLab) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "till-server")
    with Image.open(io.BytesIO(hv.screenshot(vm.id))) as picture:
        assert picture.size[0] > 300
    hv.power_off(vm.id, TaskContext())
    with pytest.raises(BadPowerState):
        hv.screenshot(vm.id)


def test_vm_that_is_gone(lab: VsphereLab) -> None:
    with pytest.raises(NotFound):
        lab.log_in().screenshot(ObjectId("9999"))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", PermissionDenied),
        (404, b"", NotSupported),
        (302, b"", HvError),
        (200, b"<html>not a picture</html>", BadReply),
        (200, b"\x89PNG\r\n\x1a\n" + bytes(9 << 20), HvError),
    ],
)
def test_anything_else_in_its_place(
    lab: VsphereLab, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, error: type[HvError]
) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "till-server")

    def send(handler: lab_server._Handler) -> None:
        handler._send(status, body, "text/html", {"Location": "https://127.0.0.1:9/screen"})

    monkeypatch.setattr(lab_server._Handler, "_screen", send)
    with pytest.raises(error):
        hv.screenshot(vm.id)
    assert hv.details(vm.id).vm_id == vm.id, "the connection goes on"
