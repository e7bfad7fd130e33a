"""The platforms that the contract is tested on: one row each. A new backend adds its row and gets all the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Platform:
    """How the suite treats one platform of the lab.

    ``site`` is the lab's kind of site; ``expire_sessions`` gets the site's running server and makes it forget all
    sessions; ``snapshot_request`` is a pattern for the name of the request that asks for a snapshot, as the lab's fault
    rules see it; ``login_request`` likewise.
    """

    name: str
    site: str
    expire_sessions: Callable[[Any], None]
    snapshot_request: str
    login_request: str
    options: Mapping[str, str] = field(default_factory=dict)
    has_screens: bool = True
    """Whether its VMs have screens that can be pictured."""
    running_vm: str = ""
    """Name of a VM that runs, with tools and without snapshots."""
    toolless_vm: str = ""
    halted_vm: str = ""
    vm_with_snapshots: str = ""
    already_there_is_success: bool = False
    """Asking for the state that a VM is in already is no error."""
    server: str = ""
    """Name of the server where the lab has several of the platform."""
    exports_to_host: bool = False
    """Exports are folders on the server; no file comes here."""

    @property
    def label(self) -> str:
        """How test reports name it."""
        return "-".join((self.site, *self.server.split()[-1:]))


PLATFORMS = (
    Platform(
        name="xenserver",
        site="xenserver",
        expire_sessions=lambda server: server.pool.sessions.expire_all(),
        snapshot_request="Async.VM.snapshot",
        login_request="session.login_with_password",
        running_vm="web-02",
        toolless_vm="telephony",
        halted_vm="erp-test",
        vm_with_snapshots="db-01",
    ),
    Platform(
        name="hyperv",
        site="hyperv",
        expire_sessions=lambda server: server.cut_connections(),
        snapshot_request="Msvm_VirtualSystemSnapshotService.CreateSnapshot",
        login_request="Identify",
        running_vm="zrh-dc01",
        toolless_vm="zrh-fw",
        halted_vm="zrh-test01",
        vm_with_snapshots="zrh-web01",
        already_there_is_success=True,
        exports_to_host=True,
    ),
    Platform(
        name="vsphere",
        site="vsphere",
        server="Meridian vCenter",
        expire_sessions=lambda server: server.sessions.expire_all(),
        snapshot_request="CreateSnapshot_Task",
        login_request="Login",
        running_vm="shop-01",
        toolless_vm="badge-reader",
        halted_vm="sandbox-zh",
        vm_with_snapshots="orders-db",
    ),
    Platform(
        name="vsphere",
        site="vsphere",
        server="esx-branch",
        expire_sessions=lambda server: server.sessions.expire_all(),
        snapshot_request="CreateSnapshot_Task",
        login_request="Login",
        running_vm="till-server",
        toolless_vm="camera-nvr",
        halted_vm="branch-spare",
        vm_with_snapshots="branch-files",
    ),
    Platform(
        name="vsphere",
        site="vcsim",
        has_screens=False,
        server="vpx",
        expire_sessions=lambda peer: peer.control(expire=True),
        snapshot_request="CreateSnapshot_Task",
        login_request="Login",
        running_vm="DC0_C0_RP0_VM0",
        toolless_vm="DC0_C0_RP0_VM1",
        halted_vm="DC0_C0_RP0_VM2",
        vm_with_snapshots="DC0_C0_RP0_VM3",
    ),
    Platform(
        name="vsphere",
        site="vcsim",
        has_screens=False,
        server="esx",
        expire_sessions=lambda peer: peer.control(expire=True),
        snapshot_request="CreateSnapshot_Task",
        login_request="Login",
        running_vm="ha-host_VM0",
        toolless_vm="ha-host_VM1",
        halted_vm="ha-host_VM2",
        vm_with_snapshots="ha-host_VM3",
    ),
)
