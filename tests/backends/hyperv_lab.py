"""A Hyper-V host of the lab, and ways to log in to it: shared by the tests of the backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hvconsole.backends.base import Secret, Target
from hvconsole.backends.hyperv import HypervHost, open_hyperv
from hvconsole.backends.wsman import WsmanClient
from hvconsole.backends.wsman_transport import Endpoint
from hvconsole.clock import SystemClock
from hvconsole.lab import Lab
from hvconsole.lab.hyperv import HypervServer
from hvconsole.lab.hyperv.estate import build
from hvconsole.lab.objects import Vm as LabVm
from hvconsole.lab.sites import Identity
from hvconsole.lab.world import World
from hvconsole.model import Certificate, Inventory


@dataclass(frozen=True)
class Accept:
    """Trusts one certificate wherever it is."""

    sha256: str

    def pinned(self, host: str, port: int) -> Certificate:
        return Certificate(host=host, port=port, sha256=self.sha256)


@dataclass
class HypervLab:
    """Two hosts; ``server`` is the English one, ``other`` the German one."""

    lab: Lab
    identity: Identity
    opened: list[WsmanClient | HypervHost] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.lab.world

    @property
    def server(self) -> HypervServer:
        server = self.lab.site_servers[0]
        assert isinstance(server, HypervServer)
        return server

    @property
    def other(self) -> HypervServer:
        server = self.lab.site_servers[1]
        assert isinstance(server, HypervServer)
        return server

    @property
    def trust(self) -> Accept:
        return Accept(self.identity.sha256)

    def endpoint(
        self,
        scheme: str = "https",
        *,
        auth: str = "ntlm",
        password: str | None = None,
        user: str = "Administrator",
        server: HypervServer | None = None,
    ) -> Endpoint:
        host = server or self.server
        return Endpoint(
            scheme=scheme,
            host="127.0.0.1",
            port=host.port(scheme),
            auth=auth,
            user=user,
            password=host.site.password if password is None else password,
        )

    def client(self, scheme: str = "https", **options: str) -> WsmanClient:
        client = WsmanClient(self.endpoint(scheme, **options), self.trust, SystemClock())  # type: ignore[arg-type]
        self.opened.append(client)
        return client

    def log_in(
        self, scheme: str = "https", *, server: HypervServer | None = None, password: str | None = None, **options: str
    ) -> HypervHost:
        host = server or self.server
        target = Target(
            platform="hyperv",
            addresses=(("127.0.0.1", host.port(scheme)),),
            user="Administrator",
            options={"scheme": scheme, **options},
        )
        secret = Secret(password=host.site.password if password is None else password)
        hypervisor = open_hyperv(target, secret, self.trust, SystemClock())
        self.opened.append(hypervisor)
        return hypervisor

    def vm(self, name: str) -> LabVm:
        return self.world.vm_named(name)


@contextmanager
def hyperv_lab(identity: Identity) -> Iterator[HypervLab]:
    """Two running hosts in which everything is immediate."""
    world = World()
    build(world)
    world.seal()
    running = HypervLab(Lab(world, identity=identity).start(), identity)
    try:
        yield running
    finally:
        for each in running.opened:
            each.close()
        running.lab.stop()


def first(hypervisor: HypervHost) -> Inventory:
    """The first inventory."""
    inventory = hypervisor.watch(10)
    assert inventory is not None
    return inventory
