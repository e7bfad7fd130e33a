"""A whole simulated data centre that speaks the real wire protocols on loopback.

``Lab`` owns a ``World`` (platform-neutral: ``objects``, ``power``, ``snapshots``, ``lifecycle``, ``hosts``), a
virtual network that answers pings, and one protocol server per site. It may be started and controlled from any
thread; ``stop`` ends every thread it made. Nothing in here imports the client side of hvconsole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hvconsole.lab import hosts, power
from hvconsole.lab.identity import make_identity
from hvconsole.lab.network import VirtualNetwork
from hvconsole.lab.sites import Identity, ServerDescription, SiteServer, build, serve
from hvconsole.lab.tasks import Timing
from hvconsole.lab.world import World

DEFAULT_KINDS = ("xenserver", "vsphere", "hyperv")
"""Kinds of site in the default estate, in the order they are served."""


class Lab:
    """A running data centre.

    ``world`` None builds the default estate of ``kinds``; ``identity`` None makes a certificate.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        kinds: tuple[str, ...] = DEFAULT_KINDS,
        timing: Timing | None = None,
        identity: Identity | None = None,
    ) -> None:
        if world is None:
            world = World(timing=timing)
            build(world, kinds)
            world.seal()
        self.world = world
        self._identity = identity
        self._network = VirtualNetwork(world)
        self.site_servers: list[SiteServer] = []
        self._started = False

    @classmethod
    def scaled(cls, n_vms: int, *, timing: Timing | None = None, identity: Identity | None = None) -> Lab:
        """A lab with one XenServer pool of ``n_vms`` VMs."""
        return cls(World.scaled(n_vms, timing=timing), identity=identity)

    @classmethod
    def from_xapi_db(cls, path: Path, *, timing: Timing | None = None, identity: Identity | None = None) -> Lab:
        """A lab that serves the xapi database dump at ``path``. Raises ``ValueError`` if it is none."""
        from hvconsole.lab.xapi.dump import load_dump  # most labs never read one

        world = World(timing=timing)
        load_dump(world, path)
        world.seal()
        return cls(world, identity=identity)

    def start(self) -> Lab:
        """Start the virtual network and every site's server; returns itself."""
        identity = self._identity or make_identity()
        self._started = True
        try:
            self._network.start()
            for site in list(self.world.sites.values()):
                server = serve(self.world, site, identity)
                server.start()
                self.site_servers.append(server)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything; may be called again."""
        if not self._started:
            return
        self._started = False
        self.world.close()
        for server in self.site_servers:
            server.stop()
        self.site_servers = []
        self._network.stop()

    def __enter__(self) -> Lab:
        return self if self._started else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def servers(self) -> list[ServerDescription]:
        """How to reach each site's server."""
        return [server.describe() for server in self.site_servers]

    @property
    def network(self) -> tuple[str, int]:
        """(host, port) of the virtual network."""
        return self._network.address

    def describe(self) -> dict[str, Any]:
        """Everything a client needs, as plain data for JSON (passwords of the lab included)."""
        host, port = self.network
        return {"network": f"{host}:{port}", "servers": [server.as_dict() for server in self.servers]}

    # ---- the Lab menu ------------------------------------------------------------------------------------

    def pull_cable(self, vm_id: str) -> None:
        """Pull all network cables of a VM."""
        power.pull_cable(self.world, vm_id)

    def plug_cable(self, vm_id: str) -> None:
        """Plug them in again."""
        power.plug_cable(self.world, vm_id)

    def cable_plugged(self, vm_id: str) -> bool:
        """Whether all cables of a VM are plugged."""
        with self.world.lock:
            return all(nic.plugged for nic in self.world.vm(vm_id).nics)

    def fail_host(self, host_id: str) -> None:
        """Kill a host."""
        hosts.fail(self.world, host_id)

    def repair_host(self, host_id: str) -> None:
        """Bring a host back."""
        hosts.repair(self.world, host_id)

    def fail_master(self, site_id: str | None = None) -> str | None:
        """Kill the master of a pool (of the first one if ``site_id`` is None); returns its id."""
        site = self._pool(site_id)
        return None if site is None else hosts.fail_master(self.world, site)

    def repair_master(self, site_id: str | None = None) -> None:
        """Bring every dead host of a pool back."""
        site = self._pool(site_id)
        for host in self.world.of_site(self.world.hosts.values(), site or ""):
            hosts.repair(self.world, host.id)

    def _pool(self, site_id: str | None) -> str | None:
        if site_id is not None:
            return site_id
        return next((site.id for site in self.world.sites.values() if site.master_id is not None), None)

    def set_station_online(self, online: bool) -> None:
        """Cut (False) or restore this computer's own link to the virtual network."""
        with self.world.lock:
            self.world.station_online = online
