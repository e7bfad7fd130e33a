"""A lab vCenter or ESXi host, or a vcsim process, and ways to log in to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hvconsole.backends.base import Hypervisor, Secret, Target, Trust
from hvconsole.backends.vsphere import open_vsphere
from hvconsole.clock import SystemClock
from hvconsole.errors import HvError
from hvconsole.lab.objects import Vm as LabVm
from hvconsole.lab.sites import Identity
from hvconsole.lab.tasks import Timing
from hvconsole.lab.vsphere import VsphereSite
from hvconsole.lab.vsphere.estate import build_esxi, build_vcenter
from hvconsole.lab.world import World
from hvconsole.model import Inventory, Vm
from hvconsole.trust import FixedPins, PinStore

T = TypeVar("T")


class VsphereLab:
    """One site served at ``address``. ``log_in`` as often as needed; everything is closed at the end."""

    def __init__(
        self,
        identity: Identity,
        *,
        esxi: bool = False,
        release: str = "8.0",
        address: str = "127.0.0.1",
        timing: Timing | None = None,
    ) -> None:
        self.identity = identity
        self.world = World(timing=timing)
        self.site = build_esxi(self.world, release) if esxi else build_vcenter(self.world, release)
        self.world.seal()
        self.server = VsphereSite(self.world, self.site, identity, address)
        self.server.start()
        self.address = address
        self.port: int = self.site.extra["port"]
        self._open: list[Hypervisor] = []

    def trust(self, sha256: str = "", host: str = "") -> Trust:
        return FixedPins({(host or self.address, self.port): sha256 or self.identity.sha256}, PinStore())

    def log_in(
        self, *, password: str | None = None, trust: Trust | None = None, host: str = "", clock: Any = None
    ) -> Hypervisor:
        name = host or self.address
        target = Target(platform="vsphere", addresses=((name, self.port),), user=self.site.user)
        hv = open_vsphere(
            target,
            Secret(password=self.site.password if password is None else password),
            trust or self.trust(host=name),
            clock or SystemClock(),
        )
        self._open.append(hv)
        return hv

    def vm(self, name: str) -> LabVm:
        return self.world.vm_named(name)

    def close(self) -> None:
        for hv in self._open:
            with contextlib.suppress(HvError):
                hv.close()
        self.world.close()
        self.server.stop()


@contextlib.contextmanager
def vsphere_lab(identity: Identity, **options: Any) -> Iterator[VsphereLab]:
    """A running lab, stopped at the end."""
    lab = VsphereLab(identity, **options)
    try:
        yield lab
    finally:
        lab.close()


def log_in_to_vcsim(peer: Any, *, clock: Any = None) -> Hypervisor:
    """Log in to a vcsim process."""
    target = Target(platform="vsphere", addresses=((peer.host, peer.port),), user=peer.user)
    trust = FixedPins({(peer.host, peer.port): peer.sha256}, PinStore())
    return open_vsphere(target, Secret(password=peer.password), trust, clock or SystemClock())


def first(hv: Hypervisor) -> Inventory:
    """The first inventory."""
    inventory = hv.watch(10)
    assert inventory is not None
    return inventory


def named(inventory: Inventory, name: str) -> Vm:
    """The VM of that name."""
    return next(vm for vm in inventory.vms.values() if vm.name == name)


def until(hv: Hypervisor, done: Callable[[Inventory], T], tries: int = 40) -> T:
    """Watch until ``done`` of the latest inventory is true, and return it."""
    for _ in range(tries):
        inventory = hv.watch(0.5)
        found = done(inventory) if inventory is not None else None
        if found:
            return found
    raise AssertionError("the inventory never came to show it")
