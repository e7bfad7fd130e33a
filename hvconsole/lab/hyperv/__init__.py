"""A simulated Hyper-V host: WS-Management over http and https, NTLM with message sealing, WMI classes, jobs.

``serve`` and ``build`` are what ``sites`` names. Nothing in here imports the client side of hvconsole.
"""

from __future__ import annotations

from hvconsole.lab.hyperv.estate import build, build_scaled
from hvconsole.lab.hyperv.server import HypervServer
from hvconsole.lab.objects import Site
from hvconsole.lab.sites import Identity
from hvconsole.lab.world import World


def serve(world: World, site: Site, identity: Identity) -> HypervServer:
    """The server (not yet started) of a Hyper-V site."""
    return HypervServer(world, site, identity)


__all__ = ["HypervServer", "build", "build_scaled", "serve"]
