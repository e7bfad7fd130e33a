"""The connection doctor: DNS → TCP → TLS → login → permission, stopping at the first failure with its remedy.

Steps are data, made one by one; every one blocks, so the generator is for worker threads (Connect dialog) and the
command line. What only one platform knows comes from its backend: ``backends.ADVICE`` and ``Hypervisor.diagnose``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

from hvconsole.backends import ADVICE, NO_ADVICE, open_hypervisor
from hvconsole.backends.base import Hypervisor, Secret, Step, Target, Trust
from hvconsole.backends.wire_sockets import BoundedSocket, resolve, tcp_connect, tls_handshake
from hvconsole.clock import Clock
from hvconsole.errors import (
    AuthError,
    Busy,
    CertificateError,
    ConnectError,
    EmergencyMode,
    HostIsSlave,
    HvError,
    NotAHypervisor,
    PermissionDenied,
    SessionLost,
    Unreachable,
)
from hvconsole.model import Certificate, Inventory
from hvconsole.operations import plain_vms
from hvconsole.profiles import ServerProfile, format_address, is_on
from hvconsole.text import safe_text
from hvconsole.trust import format_fingerprint

INVENTORY_S = 60.0
Opener = Callable[[Target, Secret, Trust, Clock], Hypervisor]


def examine(
    profile: ServerProfile,
    ask_secret: Callable[[], Secret],
    trust: Trust,
    clock: Clock,
    opener: Opener = open_hypervisor,
) -> Iterator[Step]:
    """The steps for one server. ``ask_secret`` is called once the certificate is known to be right; its ``HvError``
    is the login step's failure. No exception of the tree leaves the generator; the last step may have failed."""
    address: tuple[str, int] | None = None
    for step, found in _reach(profile):
        yield step
        if not step.ok:
            return
        address = found
    assert address is not None
    if profile.options.get("scheme") != "http":
        step = _tls(profile, address, trust, clock)
        yield step
        if not step.ok:
            return
    try:
        hypervisor = opener(profile.target(), ask_secret(), trust, clock)
    except HvError as exc:
        yield _failed("tls" if isinstance(exc, CertificateError) else "login", exc, _login_remedy(profile, exc))
        return
    try:
        info = hypervisor.info
        yield Step(
            name="login",
            ok=True,
            text=f"Logged in as {safe_text(info.user)} to {safe_text(f'{info.product} {info.version}'.strip())}.",
        )
        yield from _permission(profile, hypervisor)
    finally:
        hypervisor.close()


def _reach(profile: ServerProfile) -> Iterator[tuple[Step, tuple[str, int]]]:
    """DNS and TCP of the first address that can be reached; of the last one if none can."""
    skipped: list[str] = []
    last = len(profile.addresses) - 1
    for number, (host, port) in enumerate(profile.addresses):
        place = format_address(host, port)
        steps: list[Step] = []
        sock: BoundedSocket | None = None
        try:
            addresses = resolve(host, port)
            numbers = ", ".join(dict.fromkeys(str(sockaddr[0]) for _family, sockaddr in addresses))
            steps.append(Step(name="dns", ok=True, text=f"{host} is {numbers}.", detail=" ".join(skipped)))
            sock = tcp_connect(host, port, addresses)
            steps.append(Step(name="tcp", ok=True, text=f"Port {port} of {host} answers."))
        except HvError as exc:
            remedy = _dns_remedy() if not steps else _tcp_remedy(profile, exc)
            failed = _failed("tcp" if steps else "dns", exc, remedy)
            if number < last:
                skipped.append(f"{place}: {exc.user_text}")
                continue
            steps.append(failed)
        finally:
            if sock is not None:
                sock.close()
        for step in steps:
            yield step, (host, port)
        return


def _tls(profile: ServerProfile, address: tuple[str, int], trust: Trust, clock: Clock) -> Step:
    host, port = address
    legacy = is_on(profile.options, "legacy_tls")
    try:
        shown = tls_handshake(tcp_connect(host, port, resolve(host, port)), host, port, legacy=legacy)
    except HvError as exc:
        remedy = _advice(profile, "no-tls") if isinstance(exc, NotAHypervisor) else _tcp_remedy(profile, exc)
        return _failed("tls", exc, remedy)
    pinned = trust.pinned(host, port)
    if pinned is None or pinned.sha256 != shown.sha256:
        return _failed("tls", _certificate_error(host, shown, pinned), _advice(profile, "fingerprint"))
    age = _validity(shown, clock.now())
    return Step(
        name="tls",
        ok=True,
        text=f"The certificate is the accepted one, SHA-256 {format_fingerprint(shown.sha256)}.",
        remedy=age,
        detail=f"subject {shown.subject}, issuer {shown.issuer}",
    )


def _certificate_error(host: str, shown: Certificate, pinned: Certificate | None) -> CertificateError:
    if pinned is None:
        return CertificateError(
            f"The certificate of {host} has not been accepted yet.", reason="unknown", presented=shown
        )
    return CertificateError(
        f"The certificate of {host} is not the accepted one.", reason="changed", presented=shown, pinned=pinned
    )


def _validity(shown: Certificate, now: dt.datetime) -> str:
    if shown.not_after is not None and shown.not_after < now:
        return f"It expired on {shown.not_after:%Y-%m-%d}; it still is the one you accepted. Renew it on the server."
    if shown.not_before is not None and shown.not_before > now:
        return f"It is valid only from {shown.not_before:%Y-%m-%d} on: compare the clocks of server and this computer."
    return ""


def _permission(profile: ServerProfile, hypervisor: Hypervisor) -> Iterator[Step]:
    try:
        inventory = hypervisor.watch(INVENTORY_S)
    except HvError as exc:
        yield _failed("permission", exc, _permission_remedy(profile, exc))
        return
    assert inventory is not None  # the contract: the first call returns everything
    read_only = hypervisor.info.read_only
    yield Step(name="permission", ok=True, text=_seen(inventory), remedy=safe_text(read_only) if read_only else "")
    try:
        yield from hypervisor.diagnose()
    except HvError as exc:
        yield _failed("permission", exc, _permission_remedy(profile, exc))


def _seen(inventory: Inventory) -> str:
    if inventory.emergency is not None:
        state = "is" if inventory.emergency.in_emergency_mode else "is not"
        return f"Local login: this host {state} in emergency mode."
    hosts, vms = len(inventory.hosts), len(plain_vms(inventory))
    return f"The inventory can be read: {_count(hosts, 'host')}, {_count(vms, 'VM')}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _failed(name: str, error: HvError, remedy: str) -> Step:
    return Step(name=name, ok=False, text=error.user_text, remedy=remedy, detail=error.detail, error=error)


def _advice(profile: ServerProfile, about: str) -> str:
    return ADVICE.get(profile.platform, NO_ADVICE).get(about, NO_ADVICE[about])


def _dns_remedy() -> str:
    return "Check the spelling and this computer's name servers, or use the IP address."


def _tcp_remedy(profile: ServerProfile, error: HvError) -> str:
    return _advice(profile, "service") if isinstance(error, Unreachable) else _advice(profile, "no-tls")


def _permission_remedy(profile: ServerProfile, error: HvError) -> str:
    if isinstance(error, ConnectError | SessionLost | Busy):
        return _login_remedy(profile, error)
    return _advice(profile, "permission")


def _login_remedy(profile: ServerProfile, error: HvError) -> str:
    if isinstance(error, HostIsSlave):
        return f"Connect to the pool's master, {safe_text(error.master_address)}, if you trust that address."
    if isinstance(error, EmergencyMode):
        return _advice(profile, "emergency")
    if isinstance(error, AuthError):
        return _advice(profile, "login")
    if isinstance(error, CertificateError):
        return _advice(profile, "fingerprint")
    if isinstance(error, PermissionDenied):
        return _advice(profile, "permission")
    if isinstance(error, NotAHypervisor):
        return _advice(profile, "role")
    if isinstance(error, Busy):
        return _advice(profile, "busy")
    if profile.options.get("scheme") == "http":
        return f"{_advice(profile, 'no-tls')} {_advice(profile, 'not-ready')}"
    return _advice(profile, "not-ready")
