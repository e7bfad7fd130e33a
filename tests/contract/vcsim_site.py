"""VMware's own simulator in the place of the lab. Nobody can look into it, so tests that must are skipped."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from hvconsole.backends.base import TaskContext
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.sites import ServerDescription
from hvconsole.model import ObjectId
from tests.peers.vcsim import Vcsim

from .conftest import Site
from .platforms import Platform


class _Faults:
    """Fault rules as far as vcsim can be told them."""

    def __init__(self, peer: Vcsim) -> None:
        self._peer = peer

    def add(self, rule: FaultRule) -> FaultRule:
        if rule.effect is not Effect.DROP_AFTER or rule.max_count is None:
            pytest.skip("vcsim can't be made to do that")
        self._peer.control(drop={rule.method: rule.max_count})
        peer = self._peer
        before = peer.control().get(rule.method, 0)

        class Counted(FaultRule):
            @property
            def seen(self) -> int:  # type: ignore[override]
                return peer.control().get(rule.method, 0) - before

            @seen.setter
            def seen(self, value: int) -> None:
                """Counted by the peer."""

        return Counted(method=rule.method)


class _Timing:
    def __init__(self, peer: Vcsim) -> None:
        object.__setattr__(self, "_peer", peer)

    def __setattr__(self, name: str, seconds: float) -> None:
        self._peer.control(task_seconds=seconds)


class _World:
    """What of the lab's world has a counterpart; the rest skips the test."""

    def __init__(self, peer: Vcsim) -> None:
        self.faults = _Faults(peer)
        self.timing = _Timing(peer)

    def __getattr__(self, name: str) -> NoReturn:
        pytest.skip(f"nobody can look into vcsim ({name})")


class VcsimSite(Site):
    """A vcsim process with the VMs that the tests name: one with tools, one without, one off, one with a snapshot."""

    def __init__(self, platform: Platform) -> None:
        self.peer = Vcsim(platform.server, vm=4)
        self.lab: Any = self.peer
        self.world: Any = _World(self.peer)
        self.platform = platform
        self.handler: Any = self.peer
        self._open = []
        self.server = ServerDescription(
            platform="vsphere",
            name=platform.server,
            url=f"vsphere://{self.peer.user}@{self.peer.host}:{self.peer.port}",
            user=self.peer.user,
            password=self.peer.password,
            sha256=self.peer.sha256,
        )
        self._prepare(platform)

    def _prepare(self, platform: Platform) -> None:
        hv = self.log_in()
        inventory = hv.watch(10)
        assert inventory is not None
        ids: dict[str, ObjectId] = {vm.name: vm.id for vm in inventory.vms.values()}
        for vm_id in ids.values():
            self.peer.control(guest={vm_id: {"tools": "guestToolsNotRunning"}})
        self.peer.control(guest={ids[platform.running_vm]: {"tools": "guestToolsRunning", "ip": "10.9.8.7"}})
        hv.power_off(ids[platform.halted_vm], TaskContext())
        hv.snapshot(ids[platform.vm_with_snapshots], "old", "", TaskContext())
        hv.close()
