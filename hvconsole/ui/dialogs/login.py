"""What the Connect dialog decides without widgets: from what was typed to a profile, and one trial login.

Pure but for ``log_in``, which blocks: worker threads only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from hvconsole.backends.base import Hypervisor, Secret, Step, Target, Trust
from hvconsole.clock import Clock
from hvconsole.credentials import Credentials
from hvconsole.errors import HvError, InvalidInput
from hvconsole.model import Emergency
from hvconsole.profiles import (
    Address,
    ServerProfile,
    default_port,
    format_address,
    new_profile,
    parse_address,
)

EMERGENCY_ANSWER_S = 15.0
"""How long a host may take to say whether it is in emergency mode."""

Opener = Callable[[Target, Secret, Trust, Clock], Hypervisor]


@dataclass(frozen=True, slots=True)
class Entered:
    """What stands in the fields."""

    platform: str
    addresses: str
    port: str
    user: str
    name: str = ""
    remember: bool = False
    at_start: bool = True
    options: Mapping[str, str] | None = None


def check_port(text: str) -> str | None:
    """What is wrong with a port as typed, or None; empty is the default port."""
    text = text.strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        return "Ports go from 1 to 65535."
    return None


def to_addresses(text: str, port: int) -> tuple[Address, ...]:
    """Addresses separated by “;”, each with its own port or ``port``. Raises ``InvalidInput``."""
    found = tuple(dict.fromkeys(parse_address(part, port) for part in text.split(";") if part.strip()))
    if not found:
        raise InvalidInput("Enter the address of a server.")
    return found


def to_profile(entered: Entered, before: ServerProfile | None = None) -> ServerProfile:
    """A profile from what was entered; ``before`` keeps its id and what it learned. Raises ``InvalidInput``."""
    options = dict(entered.options or {})
    default = default_port(entered.platform, options)
    port = int(entered.port) if entered.port.strip() else default
    addresses = to_addresses(entered.addresses, port)
    typed = "; ".join(format_address(host, number) for host, number in addresses)
    made = new_profile(entered.platform, typed, entered.user, entered.name, options)
    if not entered.name.strip():
        made = replace(made, name=format_address(*addresses[0], default))
    made = replace(made, remember_password=entered.remember, connect_at_start=entered.at_start)
    if before is not None:
        made = replace(made, id=before.id, known_members=before.known_members)
    return made


def moved_to(profile: ServerProfile, address: str) -> ServerProfile:
    """The same server, reached at its pool's master. Raises ``InvalidInput`` for what is no plain address.

    The port stays: a member's word must not lead to another service.
    """
    port = profile.addresses[0][1]
    host, named_port = parse_address(address, port)
    if named_port != port:
        raise InvalidInput("The server names a master with another port; enter its address yourself if that is right.")
    keep = tuple(a for a in profile.addresses if a != (host, port))
    return replace(profile, addresses=((host, port), *keep))


def is_member(profile: ServerProfile, address: str) -> bool:
    """Whether an address belongs to a host that an earlier verified session saw in this pool."""
    try:
        return parse_address(address, 0)[0] in {parse_address(member, 0)[0] for member in profile.known_members}
    except InvalidInput:
        return False


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Logging in worked. ``keyring_trouble``: why the password could not be put into the keyring, or empty.
    ``emergency``: how the host of an emergency login stands."""

    keyring_trouble: str = ""
    emergency: Emergency | None = None


def log_in(
    profile: ServerProfile, secret: Secret, trust: Trust, clock: Clock, credentials: Credentials, opener: Opener
) -> LoggedIn:
    """Log in and out, then keep the password as the profile says. Worker thread; raises ``ConnectError``."""
    hypervisor = opener(profile.target(), secret, trust, clock)
    emergency = None
    try:
        if profile.options.get("emergency"):
            told = hypervisor.watch(EMERGENCY_ANSWER_S)
            emergency = told.emergency if told is not None else None
    finally:
        hypervisor.close()
    if emergency is not None and not emergency.in_emergency_mode:
        return LoggedIn(emergency=emergency)
    trouble = ""
    try:
        if profile.remember_password:
            credentials.save(profile.id, secret)
        else:
            credentials.forget(profile.id)
    except HvError as exc:
        trouble = exc.user_text
    credentials.remember(profile.id, secret)
    return LoggedIn(trouble, emergency)


def locally(profile: ServerProfile, at: Address) -> ServerProfile:
    """The same server for one emergency login at ``at``; never saved."""
    return replace(profile, addresses=(at,), options={**profile.options, "emergency": "yes"})


def tell_steps(steps: Iterator[Step], told: Callable[[Step], None]) -> Step | None:
    """Pass every step on; the last one. Worker thread."""
    last = None
    for step in steps:
        told(step)
        last = step
    return last
