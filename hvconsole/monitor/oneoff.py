"""Single checks beside the schedule, through icmplib: names to addresses, "test now", the words for ICMP errors.

Everything that looks something up or pings blocks: worker threads only. icmplib is imported when first needed (it
brings asyncio along).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import ipaddress
import socket

from hvconsole.clock import Clock
from hvconsole.errors import LocalError, Unreachable
from hvconsole.monitor.icmp import no_right_to_ping
from hvconsole.monitor.packets import ECHO_REPLY, ECHO_REPLY_V6, EchoBuilder
from hvconsole.monitor.status import MonitorSettings, Round, RoundResult

_FAMILIES = {"any": None, "ipv4": 4, "ipv6": 6}


def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address (not a name)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def resolve(name: str, family: str = "any") -> str:
    """The address of a name (an address comes back as it is). Blocks; raises ``Unreachable``."""
    from icmplib import NameLookupError
    from icmplib import resolve as look_up

    if is_address(name):
        return name
    try:
        return str(look_up(name, _FAMILIES[family])[0])
    except (NameLookupError, UnicodeError, IndexError) as exc:
        raise Unreachable(f"The name “{name[:100]}” can't be resolved.", str(exc)) from exc


@functools.cache
def icmp_sentence(kind: int, code: int, *, v6: bool) -> str:
    """What an ICMP error of this type and code means, in a sentence."""
    from icmplib import ICMPError
    from icmplib.models import ICMPReply

    reply = ICMPReply("", 6 if v6 else 4, 0, 0, kind, code, 0, 0)
    try:
        reply.raise_for_status()
    except ICMPError as exc:
        return f"{str(exc).rstrip('.')}."
    return ""


def check(address: str, settings: MonitorSettings, clock: Clock, lab_network: tuple[str, int] | None = None) -> Round:
    """One round now, apart from the engine: with icmplib, or through the lab's virtual network.

    Blocks for at most pings × (gap + timeout). Raises ``LocalError`` where ICMP may not be sent, ``Unreachable`` if
    nothing could be sent.
    """
    when = clock.now()
    if lab_network is not None:
        rtts, note = _check_lab(address, settings, clock, lab_network)
    else:
        rtts, note = _check_icmp(address, settings, clock)
    answered = sum(1 for rtt in rtts if rtt is not None)
    result = RoundResult.OK if answered == len(rtts) else RoundResult.DEGRADED if answered else RoundResult.LOST
    return Round(when, result, tuple(rtts), note)


def _check_icmp(address: str, settings: MonitorSettings, clock: Clock) -> tuple[list[float | None], str]:
    from icmplib import (
        ICMPError,
        ICMPLibError,
        ICMPRequest,
        ICMPv4Socket,
        ICMPv6Socket,
        SocketPermissionError,
        TimeoutExceeded,
    )

    v6 = ":" in address
    kind = ICMPv6Socket if v6 else ICMPv4Socket
    sock = None
    for privileged in (False, True):
        try:
            sock = kind(None, privileged)
            break
        except SocketPermissionError:
            continue
        except ICMPLibError as exc:
            raise LocalError("This computer can't send pings.", str(exc)) from exc
    if sock is None:
        raise no_right_to_ping(errno.EPERM)
    rtts: list[float | None] = []
    note = ""
    with contextlib.closing(sock):
        for sequence in range(settings.pings):
            request = ICMPRequest(destination=address, id=_identifier(clock), sequence=sequence)
            try:
                sock.send(request)
                reply = sock.receive(request, settings.timeout_s)
                reply.raise_for_status()
                rtts.append((reply.time - request.time) * 1000)
            except TimeoutExceeded:
                rtts.append(None)
            except ICMPError as exc:
                rtts.append(None)
                note = str(exc)
            except ICMPLibError as exc:
                raise Unreachable(f"Nothing can be sent to {address} from here.", str(exc)) from exc
    return rtts, note


def _check_lab(
    address: str, settings: MonitorSettings, clock: Clock, network: tuple[str, int]
) -> tuple[list[float | None], str]:
    target = ipaddress.ip_address(address)
    v6 = target.version == 6
    packed = target.packed if v6 else bytes(10) + b"\xff\xff" + target.packed
    builder = EchoBuilder(bytes(8), _identifier(clock))
    rtts: list[float | None] = []
    family = socket.AF_INET6 if ":" in network[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(network)
        for which in range(settings.pings):
            token = (0, 0, which)
            begun = clock.monotonic()
            rtt: float | None = None
            try:
                sock.send(packed + (builder.v6(which, *token) if v6 else builder.v4(which, *token)))
                while rtt is None:
                    sock.settimeout(max(0.001, begun + settings.timeout_s - clock.monotonic()))
                    data = sock.recv(2048)
                    matches = data[:16] == packed and data[16:17] in (bytes([ECHO_REPLY]), bytes([ECHO_REPLY_V6]))
                    if matches and builder.token(data, 24) == token:
                        rtt = (clock.monotonic() - begun) * 1000
            except TimeoutError:
                pass
            except OSError as exc:
                raise Unreachable("The lab's network doesn't answer.", str(exc)) from exc
            rtts.append(rtt)
    return rtts, ""


def _identifier(clock: Clock) -> int:
    return int(clock.monotonic() * 1000) & 0xFFFF
