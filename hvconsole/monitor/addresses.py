"""Which of a guest's addresses is pinged. Pure.

The guest's own report is not to be believed blindly: when a cable is pulled, many tools report one address less within
seconds. So an address that vanishes while no new one appears is still pinged; its silence is what we are here for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from hvconsole.monitor.status import MonitorSettings

# Localhost would be this computer, which always answers: no outage would ever be seen.
_NOBODYS = frozenset({"127.0.0.1", "::1", "255.255.255.255"})


def usable(addresses: Iterable[str]) -> tuple[str, ...]:
    """Those that can be pinged: no link-local, multicast, broadcast, unspecified ones, and not the guest's localhost.

    The rest of 127.0.0.0/8 stays: no guest reports it but one whose network is simulated on this computer.
    """
    found = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text.strip())
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            continue
        if str(address) not in _NOBODYS:
            found.append(str(address))
    return tuple(dict.fromkeys(found))


def choose(settings: MonitorSettings, addresses: Iterable[str]) -> str:
    """The address (or name) to ping: the user's, else the first IPv4, else the first IPv6; empty if there is none."""
    if settings.address:
        return settings.address
    candidates = usable(addresses)
    v4 = [address for address in candidates if ":" not in address]
    v6 = [address for address in candidates if ":" in address]
    order = {"any": v4 + v6, "ipv4": v4, "ipv6": v6}[settings.family]
    return order[0] if order else ""


def follow(settings: MonitorSettings, present: str, known: tuple[str, ...], reported: Iterable[str]) -> str:
    """The address to ping now that the guest reports ``reported``.

    ``present`` is pinged so far and stays as long as it is reported, or as long as nothing is reported that was not
    among ``known``, the addresses reported when it was chosen.
    """
    if settings.address:
        return settings.address
    now = usable(reported)
    if present and _fits(settings, present) and (present in now or not set(now) - set(known)):
        return present
    return choose(settings, now) or (present if _fits(settings, present) else "")


def _fits(settings: MonitorSettings, address: str) -> bool:
    return settings.family == "any" or (":" in address) == (settings.family == "ipv6")
