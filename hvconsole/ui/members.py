"""Which members of a pool an emergency login can be tried at, and what they are called. Pure; Tk thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hvconsole.backends import LOCAL_LOGIN
from hvconsole.connection import Connection
from hvconsole.errors import EmergencyMode, HvError, InvalidInput, Unreachable
from hvconsole.events import ConnectionState
from hvconsole.model import Inventory
from hvconsole.profiles import Address, ServerProfile, parse_address
from hvconsole.text import safe_text


class Member(NamedTuple):
    """A host of a pool. ``master``: it led the pool when it was last seen, so it is the one that is missed."""

    address: Address
    name: str
    master: bool = False

    @property
    def short(self) -> str:
        """Its name, else its address; safe to show."""
        return safe_text(self.name or self.address[0], 40)

    @property
    def text(self) -> str:
        """Name and address; safe to show."""
        place = safe_text(self.address[0], 60)
        shown = f"{safe_text(self.name, 60)} ({place})" if self.name else place
        return f"{shown}, the master so far" if self.master else shown


def members(profile: ServerProfile, inventory: Inventory | None, error: HvError | None = None) -> tuple[Member, ...]:
    """Members known from earlier sessions: the one that answered ``error`` first, the old master last."""
    if profile.platform not in LOCAL_LOGIN:
        return ()
    names = {h.address: (h.name, h.is_master) for h in inventory.hosts.values()} if inventory is not None else {}
    found: dict[str, Member] = {}
    for host, port in _addresses(profile, [*names], error):
        name, master = names.get(host, ("", False))
        found.setdefault(host, Member((host, port), name, master))
    return tuple(sorted(found.values(), key=lambda member: member.master))


def _addresses(profile: ServerProfile, seen: list[str], error: HvError | None) -> Iterator[Address]:
    port = profile.addresses[0][1]
    answered = [error.address] if isinstance(error, EmergencyMode) and error.address else []
    for text in (*answered, *seen, *profile.known_members):
        try:
            yield parse_address(text, port)
        except InvalidInput:
            continue  # a server named something that is no address


def offered(connection: Connection) -> tuple[Member, ...]:
    """The members that may be logged in to in an emergency now: none while there is no sign of one."""
    error = connection.error
    away = connection.state in (ConnectionState.FAILED, ConnectionState.RECONNECTING)
    if not away or not isinstance(error, (EmergencyMode, Unreachable)):
        return ()
    return tuple(m for m in members(connection.profile, connection.inventory, error) if not m.master)
