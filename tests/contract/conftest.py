"""A lab of one platform, logged in, with words for what the tests need of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Hypervisor, Secret, Target, TaskContext
from hvconsole.clock import SystemClock
from hvconsole.errors import HvError
from hvconsole.lab import Lab
from hvconsole.lab.sites import Identity, ServerDescription
from hvconsole.model import Inventory, ObjectId, Vm, VmKind
from hvconsole.profiles import parse_url
from hvconsole.trust import FixedPins, PinStore

from .platforms import PLATFORMS, Platform

T = TypeVar("T")


class Site:
    """The lab's server of the platform under test."""

    def __init__(self, lab: Lab, platform: Platform) -> None:
        self.lab = lab
        self.world = lab.world
        self.platform = platform
        self.server: ServerDescription = next(
            s for s in lab.servers if s.platform == platform.name and platform.server in ("", s.name)
        )
        self.handler: Any = next(s for s in lab.site_servers if s.describe() == self.server)
        self._open: list[Hypervisor] = []

    def target(self, **changes: Any) -> Target:
        profile = parse_url(self.server.url)
        values: dict[str, Any] = {
            "platform": profile.platform,
            "addresses": profile.addresses,
            "user": self.server.user,
            "options": {**profile.options, **self.platform.options},
        }
        return Target(**{**values, **changes})

    def trust(self, sha256: str = "") -> FixedPins:
        addresses = [*self.target().addresses]
        for member in self.server.members:
            host, _, port = member.rpartition(":")
            addresses.append((host, int(port)))
        return FixedPins(dict.fromkeys(addresses, sha256 or self.server.sha256), PinStore())

    def log_in(self, *, password: str | None = None, trust: Any = None, target: Target | None = None) -> Hypervisor:
        hv = open_hypervisor(
            target or self.target(),
            Secret(password=self.server.password if password is None else password),
            trust or self.trust(),
            SystemClock(),
        )
        self._open.append(hv)
        return hv

    def expire_sessions(self) -> None:
        self.platform.expire_sessions(self.handler)

    def close(self) -> None:
        for hv in self._open:
            with contextlib.suppress(HvError):
                hv.close()


@pytest.fixture(params=PLATFORMS, ids=lambda platform: platform.label)
def platform(request: pytest.FixtureRequest) -> Platform:
    """Every platform in turn."""
    platform: Platform = request.param
    return platform


@pytest.fixture
def site(platform: Platform, lab_identity: Identity) -> Iterator[Site]:
    """A lab of the platform, everything immediate; or a peer that nobody here wrote."""
    if platform.site == "vcsim":
        from .vcsim_site import VcsimSite

        peer = VcsimSite(platform)
        try:
            yield peer
        finally:
            peer.close()
            peer.lab.stop()
        return
    lab = Lab(kinds=(platform.site,), identity=lab_identity)
    lab.start()
    site = Site(lab, platform)
    try:
        yield site
    finally:
        site.close()
        lab.stop()


@pytest.fixture
def hv(site: Site, request: pytest.FixtureRequest) -> Hypervisor:
    """Logged in; skipped where the test needs a capability that the platform does not declare."""
    hv = site.log_in()
    needs = request.node.get_closest_marker("requires")
    if needs and not hv.capabilities & needs.args[0]:
        pytest.skip(f"{site.platform.name} lacks {needs.args[0].name}")
    return hv


@pytest.fixture
def ctx() -> TaskContext:
    """A context that nobody cancels."""
    return TaskContext()


class Viewer:
    """Keeps the latest inventory of a server, as a connection does."""

    def __init__(self, hv: Hypervisor) -> None:
        self.hv = hv
        first = hv.watch(10)
        assert first is not None
        self.inventory: Inventory = first

    def until(self, done: Callable[[Inventory], T], *, tries: int = 40) -> T:
        """Watch until ``done`` returns something true, and return it."""
        for _ in range(tries):
            found = done(self.inventory)
            if found:
                return found
            self.inventory = self.hv.watch(0.5) or self.inventory
        raise AssertionError("the inventory never came to show it")

    def vm(self, name: str) -> Vm:
        """The VM of that name, in the inventory as it is."""
        return next(vm for vm in self.inventory.vms.values() if vm.name == name and vm.kind is VmKind.VM)

    def until_vm(self, vm_id: ObjectId, done: Callable[[Vm], object]) -> Vm:
        """Watch until the VM is there and ``done`` holds."""

        def look(inventory: Inventory) -> Vm | None:
            vm = inventory.vms.get(vm_id)
            return vm if vm is not None and done(vm) else None

        return self.until(look)


@pytest.fixture
def viewer(hv: Hypervisor) -> Viewer:
    """The first inventory, and a way to wait for the next."""
    return Viewer(hv)


@pytest.fixture
def running_vm(viewer: Viewer, platform: Platform) -> Vm:
    return viewer.vm(platform.running_vm)


@pytest.fixture
def halted_vm(viewer: Viewer, platform: Platform) -> Vm:
    return viewer.vm(platform.halted_vm)


@pytest.fixture
def toolless_vm(viewer: Viewer, platform: Platform) -> Vm:
    return viewer.vm(platform.toolless_vm)


@pytest.fixture
def vm_with_snapshots(viewer: Viewer, platform: Platform) -> Vm:
    return viewer.vm(platform.vm_with_snapshots)
