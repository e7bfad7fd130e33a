"""Which protocol server serves which kind of site, and who builds the default estate of each kind.

The tables name modules instead of importing them, so that a world without Hyper-V never loads that server.
"""

from __future__ import annotations

import importlib
import ssl
from dataclasses import dataclass, field
from typing import Any, Protocol

from hvconsole.lab.objects import Site
from hvconsole.lab.world import World

SERVERS: dict[str, str] = {
    "xenserver": "hvconsole.lab.xapi.server:serve",
    "vsphere": "hvconsole.lab.vsphere:serve",
    "hyperv": "hvconsole.lab.hyperv:serve",
}
"""Kind of site → "module:factory"; the factory is called as ``factory(world, site, identity)`` → ``SiteServer``."""

ESTATES: dict[str, str] = {
    "xenserver": "hvconsole.lab.estate:build",
    "vsphere": "hvconsole.lab.vsphere:build",
    "hyperv": "hvconsole.lab.hyperv:build",
}
"""Kind of site → "module:builder"; the builder is called as ``builder(world)`` and adds its sites to the world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The certificate that a lab's servers present: made per run, for 127.0.0.1 … 127.0.0.9 and localhost."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    sha256: str
    """Fingerprint: 64 lower-case hex digits."""
    context: ssl.SSLContext
    """For ``wrap_socket(…, server_side=True)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDescription:
    """How to reach one server of the lab; what ``hvconsole lab`` prints."""

    platform: str
    """"xenserver", "vsphere" or "hyperv"."""
    name: str
    url: str
    """``scheme://user@host:port`` as the command line takes it."""
    user: str
    password: str = field(repr=False)
    sha256: str
    members: tuple[str, ...] = ()
    """host:port of every member of a pool, the master first."""
    other_urls: tuple[str, ...] = ()
    """Other ways to the same server (Hyper-V: http with sealed messages)."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "platform": self.platform,
            "name": self.name,
            "url": self.url,
            "user": self.user,
            "password": self.password,
            "sha256": self.sha256,
            "fingerprint": self.sha256,
            "members": list(self.members),
            "other_urls": list(self.other_urls),
        }


class SiteServer(Protocol):
    """A running protocol server of one site."""

    def start(self) -> None:
        """Bind to loopback and begin to serve."""

    def stop(self) -> None:
        """End every connection and thread, within a second."""

    def describe(self) -> ServerDescription:
        """How clients reach it; valid after ``start``."""


def load(entry: str) -> Any:
    """The object named by "module:name"."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


def build(world: World, kinds: tuple[str, ...]) -> None:
    """Add the default estates of these kinds to a world."""
    for kind in kinds:
        load(ESTATES[kind])(world)


def serve(world: World, site: Site, identity: Identity) -> SiteServer:
    """The server (not yet started) of a site."""
    server: SiteServer = load(SERVERS[site.kind])(world, site, identity)
    return server
