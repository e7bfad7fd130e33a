"""Saved servers and the addresses and URLs that users type. Pure; any thread. No profile ever holds a password."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from hvconsole.backends import DEFAULT_PORTS, DEFAULT_USERS
from hvconsole.backends.base import Target
from hvconsole.errors import InvalidInput
from hvconsole.model import ServerId

HYPERV_HTTP_PORT = 5985
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_SCHEMES = {
    "xenserver": ("xenserver", {}),
    "vsphere": ("vsphere", {}),
    "hyperv": ("hyperv", {"scheme": "https"}),
    "hyperv+http": ("hyperv", {"scheme": "http"}),
}

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProfile:
    """One configured server or pool. ``addresses`` are alternatives for the same pool, tried in order."""

    id: ServerId
    name: str
    platform: str
    addresses: tuple[Address, ...]
    user: str
    options: Mapping[str, str] = field(default_factory=dict)
    remember_password: bool = False
    connect_at_start: bool = True
    known_members: tuple[str, ...] = ()
    """Addresses that verified sessions saw as members of this pool: where to look when the master is dead."""

    def target(self) -> Target:
        """What a backend needs to log in."""
        return Target(
            platform=self.platform,
            addresses=self.addresses,
            user=self.user,
            options=dict(self.options),
            known_members=self.known_members,
        )

    @property
    def address_text(self) -> str:
        """The addresses as a user would type them; the default port is left out."""
        default = default_port(self.platform, self.options)
        return "; ".join(format_address(host, port, default) for host, port in self.addresses)

    @property
    def url(self) -> str:
        """The profile's first address as a URL without password."""
        scheme = self.platform
        if self.platform == "hyperv" and self.options.get("scheme") == "http":
            scheme = "hyperv+http"
        host, port = self.addresses[0]
        return f"{scheme}://{self.user}@{format_address(host, port, default_port(self.platform, self.options))}"


def default_port(platform: str, options: Mapping[str, str]) -> int:
    """The port used where none is typed."""
    if platform == "hyperv" and options.get("scheme") == "http":
        return HYPERV_HTTP_PORT
    return DEFAULT_PORTS[platform]


def format_address(host: str, port: int, default: int | None = None) -> str:
    """host, host:port or [IPv6]:port; ``default`` is the port to leave out."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port == default else f"{shown}:{port}"


def parse_address(text: str, port: int) -> Address:
    """ "host", "host:port", "IPv6" or "[IPv6]:port" → (host, port). Raises ``InvalidInput``."""
    text = text.strip()
    if "@" in text:
        raise InvalidInput("Enter the address without a user name; the user has a field of its own.")
    host, port_text = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidInput(f"“{text[:80]}” isn't an address.")
        port_text = rest[1:]
    elif text.count(":") == 1:
        host, _, port_text = text.partition(":")
    if port_text:
        if not (port_text.isascii() and port_text.isdigit() and len(port_text) < 6 and 0 < int(port_text) < 65536):
            raise InvalidInput(f"“{port_text[:20]}” isn't a port; ports go from 1 to 65535.")
        port = int(port_text)
    try:
        return str(ipaddress.ip_address(host.partition("%")[0])) + host[len(host.partition("%")[0]) :], port
    except ValueError:
        if len(host) > 253 or not _HOST_NAME.fullmatch(host) or host.replace(".", "").isdigit():
            raise InvalidInput(f"“{text[:80]}” isn't a host name or IP address.") from None
    return host.lower(), port


def parse_addresses(text: str, platform: str, options: Mapping[str, str] | None = None) -> tuple[Address, ...]:
    """Several addresses separated by “;”. Raises ``InvalidInput`` for none or a bad one."""
    port = default_port(platform, options or {})
    found = tuple(dict.fromkeys(parse_address(part, port) for part in text.split(";") if part.strip()))
    if not found:
        raise InvalidInput("Enter the address of a server.")
    return found


def new_profile(
    platform: str, addresses: str, user: str = "", name: str = "", options: Mapping[str, str] | None = None
) -> ServerProfile:
    """A profile from what was typed into the Connect dialog. Raises ``InvalidInput``."""
    if platform not in DEFAULT_PORTS:
        raise InvalidInput(f"“{platform[:40]}” isn't a platform hvconsole knows.")
    found = parse_addresses(addresses, platform, options)
    return ServerProfile(
        id=ServerId(uuid.uuid4().hex),
        name=name.strip() or format_address(*found[0], default_port(platform, options or {})),
        platform=platform,
        addresses=found,
        user=user.strip() or DEFAULT_USERS[platform],
        options=dict(options or {}),
    )


def parse_url(url: str) -> ServerProfile:
    """``xenserver://user@host[:port]``, ``vsphere://…``, ``hyperv://…``, ``hyperv+http://…`` → a profile.

    Raises ``InvalidInput``; a password in the URL is refused, because arguments are visible to everyone.
    """
    try:
        parts = urlsplit(url)
        user_part, at, place = parts.netloc.rpartition("@")
    except ValueError:
        raise InvalidInput("That isn't a server URL, for example xenserver://root@pool.example.") from None
    if parts.scheme not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise InvalidInput(f"A server URL begins with one of {known}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidInput("A server URL ends after the host and port.")
    if at and ":" in user_part:
        raise InvalidInput("Don't put a password into a URL; use the prompt or HVCONSOLE_PASSWORD.")
    platform, options = _SCHEMES[parts.scheme]
    return new_profile(platform, place, unquote(user_part), "", options)


def is_url(text: str) -> bool:
    """Whether ``text`` was meant as a URL rather than as the name of a saved server."""
    return "://" in text


def is_on(options: Mapping[str, str], name: str) -> bool:
    """Whether a yes/no option of a connection is switched on."""
    return options.get(name, "").lower() in ("yes", "true", "1", "on")
