"""The lab's vCenter and ESXi: SOAP on loopback over TLS, written against the protocol, without VMware's libraries.

``serve`` makes the server of a site, ``build`` adds the default vCenter and ESXi host to a world.
"""

from __future__ import annotations

from hvconsole.lab.objects import Site
from hvconsole.lab.sites import Identity
from hvconsole.lab.vsphere.estate import build, build_scaled
from hvconsole.lab.vsphere.server import VsphereSite
from hvconsole.lab.world import World

__all__ = ["VsphereSite", "build", "build_scaled", "serve"]


def serve(world: World, site: Site, identity: Identity) -> VsphereSite:
    """The server (not yet started) of a site."""
    return VsphereSite(world, site, identity)
