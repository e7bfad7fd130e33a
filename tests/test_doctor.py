"""The connection doctor: each step is tried for real, the first failure stops it, and every failure has a remedy."""

import contextlib
import datetime as dt
import socket
import ssl
import threading
from dataclasses import replace

import pytest

from hvconsole.backends import ADVICE
from hvconsole.backends.base import Hypervisor, Secret, Step, VmDetails
from hvconsole.clock import SystemClock
from hvconsole.doctor import examine
from hvconsole.errors import AuthError, Busy, EmergencyMode, HostIsSlave, PermissionDenied, Unreachable
from hvconsole.model import Certificate, Emergency, Inventory, ServerInfo
from hvconsole.profiles import new_profile
from hvconsole.trust import FixedPins, PinStore

INFO = ServerInfo(platform="xenserver", product="XCP-ng", version="8.3", address="pool", port=443, user="root")
SECRET = Secret(password="cAnArY")


class Session(Hypervisor):
    info = INFO
    capabilities = None

    def __init__(self, says=None, extra=()):
        self.says = says or Inventory(server=INFO, taken=SystemClock().now())
        self.extra = extra
        self.closed = False

    def watch(self, timeout_s):
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def diagnose(self):
        for each in self.extra:
            if isinstance(each, Exception):
                raise each
            yield each

    def close(self):
        self.closed = True

    def details(self, vm_id):
        return VmDetails(vm_id=vm_id)

    refresh = start = shutdown = power_off = reboot = reset = delete_vm = rename = host_info = None


@pytest.fixture
def tls_server(lab_identity):
    """(address, connections seen): a TLS server on 127.0.0.2 that says nothing."""
    with contextlib.closing(socket.create_server(("127.0.0.2", 0))) as listener:
        listener.settimeout(0.1)
        stop, seen = threading.Event(), []

        def serve():
            while not stop.is_set():
                with contextlib.suppress(TimeoutError, OSError, ssl.SSLError):
                    plain, _ = listener.accept()
                    with plain:
                        plain.settimeout(2)
                        with lab_identity.context.wrap_socket(plain, server_side=True) as secured:
                            seen.append(secured.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname(), seen
        stop.set()
        thread.join(10)


@pytest.fixture
def dead_port():
    """A port on which nobody listens."""
    with contextlib.closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.2", 0))
        yield reserved.getsockname()[1]


def steps_for(address, opened=None, trust=None, platform="xenserver", clock=None, **options):
    profile = new_profile(platform, address, options=options)
    asked = []

    def opener(target, secret, trust, clock):
        if isinstance(opened, Exception):
            raise opened
        assert secret is SECRET
        return opened

    def ask():
        asked.append(1)
        return SECRET

    return list(examine(profile, ask, trust or PinStore(), clock or SystemClock(), opener)), asked


def names(steps):
    return [(step.name, step.ok) for step in steps]


def pinned(address, identity):
    return FixedPins({address: identity.sha256}, PinStore())


def test_a_healthy_server_passes_every_step(tls_server, lab_identity):
    address, seen = tls_server
    session = Session(extra=[Step(name="clock", ok=True, text="The clocks agree.")])
    steps, _ = steps_for("{}:{}".format(*address), session, pinned(address, lab_identity))
    assert names(steps) == [
        ("dns", True), ("tcp", True), ("tls", True), ("login", True), ("permission", True), ("clock", True),
    ]  # fmt: skip
    assert session.closed
    assert not any(seen)


def test_an_unknown_name_stops_at_dns():
    steps, asked = steps_for("nosuch.invalid")
    assert names(steps) == [("dns", False)]
    assert "spelling" in steps[0].remedy
    assert not asked


def test_a_closed_port_stops_at_tcp(dead_port):
    steps, asked = steps_for(f"127.0.0.2:{dead_port}", platform="hyperv", scheme="https")
    assert names(steps) == [("dns", True), ("tcp", False)]
    assert steps[1].remedy == ADVICE["hyperv"]["service"]
    assert isinstance(steps[1].error, Unreachable)
    assert not asked


def test_of_several_addresses_the_first_that_answers_is_examined(tls_server, lab_identity, dead_port):
    address, _ = tls_server
    both = f"127.0.0.2:{dead_port}; 127.0.0.2:{address[1]}"
    steps, _ = steps_for(both, Session(), pinned(address, lab_identity))
    assert all(step.ok for step in steps)
    assert str(dead_port) in steps[0].detail


def test_an_unknown_certificate_stops_before_anybody_is_asked_for_a_password(tls_server, lab_identity):
    address, seen = tls_server
    steps, asked = steps_for("{}:{}".format(*address))
    assert names(steps) == [("dns", True), ("tcp", True), ("tls", False)]
    assert steps[2].error.reason == "unknown"
    assert steps[2].error.presented.sha256 == lab_identity.sha256
    assert "xapi-ssl.pem" in steps[2].remedy
    assert not asked
    assert not any(seen)


def test_a_changed_certificate_shows_both(tls_server):
    address, _ = tls_server
    steps, asked = steps_for("{}:{}".format(*address), trust=FixedPins({address: "ab" * 32}, PinStore()))
    assert steps[-1].error.reason == "changed"
    assert steps[-1].error.pinned.sha256 == "ab" * 32
    assert not asked


@pytest.mark.parametrize(("days", "words"), [(4000, "expired"), (-4000, "clocks")])
def test_a_certificate_out_of_date_is_pointed_out_but_is_still_the_accepted_one(tls_server, lab_identity, days, words):
    address, _ = tls_server

    class OtherDay(SystemClock):
        def now(self):
            return super().now() + dt.timedelta(days=days)

    trust = pinned(address, lab_identity)
    steps, _ = steps_for("{}:{}".format(*address), Session(), trust, clock=OtherDay())
    assert steps[2].ok
    assert words in steps[2].remedy


def test_something_that_speaks_no_tls_is_told_apart():
    with contextlib.closing(socket.create_server(("127.0.0.2", 0))) as listener:

        def greet():
            for _ in range(2):
                plain, _ = listener.accept()
                with plain, contextlib.suppress(OSError):
                    plain.sendall(b"220 smtp ready\r\n")
                    plain.recv(2000)

        thread = threading.Thread(target=greet)
        thread.start()
        steps, _ = steps_for("{}:{}".format(*listener.getsockname()), platform="hyperv", scheme="https")
        thread.join(10)
    assert names(steps)[-1] == ("tls", False)
    assert "hyperv+http" in steps[-1].remedy


def test_without_tls_there_is_no_certificate_to_check(tls_server):
    address, _ = tls_server
    steps, _ = steps_for("{}:{}".format(*address), Session(), platform="hyperv", scheme="http")
    assert [step.name for step in steps] == ["dns", "tcp", "login", "permission"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AuthError("Wrong password."), "name and password"),
        (HostIsSlave("A member.", master_address="10.0.0.9"), "10.0.0.9"),
        (EmergencyMode("Emergency."), "emergency=yes"),
        (Unreachable("Still starting."), "emergency=yes"),
    ],
)
def test_a_refused_login_says_what_to_do(tls_server, lab_identity, error, words):
    address, _ = tls_server
    steps, _ = steps_for("{}:{}".format(*address), error, pinned(address, lab_identity))
    assert names(steps)[-1] == ("login", False)
    assert words in steps[-1].remedy
    assert steps[-1].error is error


@pytest.mark.parametrize("session", [
    Session(PermissionDenied("May not look.", "RBAC_PERMISSION_DENIED")),
    Session(extra=[PermissionDenied("May not look.", "RBAC_PERMISSION_DENIED")]),
])  # fmt: skip
def test_missing_permission_is_the_last_step(tls_server, lab_identity, session):
    address, _ = tls_server
    steps, _ = steps_for("{}:{}".format(*address), session, pinned(address, lab_identity))
    assert names(steps)[-1] == ("permission", False)
    assert "role" in steps[-1].remedy
    assert session.closed


@pytest.mark.parametrize("session", [Busy("Too many."), Session(Busy("Too many.")), Session(extra=[Busy("Too many.")])])
def test_a_busy_server_is_no_matter_of_rights(tls_server, lab_identity, session):
    address, _ = tls_server
    steps, _ = steps_for("{}:{}".format(*address), session, pinned(address, lab_identity), platform="hyperv")
    assert "MaxConcurrentOperationsPerUser" in steps[-1].remedy
    assert "Hyper-V Administrators" not in steps[-1].remedy


def test_a_connection_that_breaks_without_tls_may_be_meant_for_the_other_port(tls_server):
    address, _ = tls_server
    steps, _ = steps_for("{}:{}".format(*address), Unreachable("Lost."), platform="hyperv", scheme="http")
    assert "5986 speaks TLS" in steps[-1].remedy


def test_a_local_login_says_whether_it_is_an_emergency(tls_server, lab_identity):
    address, _ = tls_server
    emergency = Emergency(host_address="10.0.0.2", in_emergency_mode=True)
    session = Session(Inventory(server=INFO, taken=SystemClock().now(), emergency=emergency))
    steps, _ = steps_for("{}:{}".format(*address), session, pinned(address, lab_identity))
    assert "is in emergency mode" in steps[-1].text


def test_a_read_only_licence_is_pointed_out(tls_server, lab_identity):
    address, _ = tls_server
    session = Session()
    session.info = replace(INFO, read_only="The free licence only allows reading.")
    steps, _ = steps_for("{}:{}".format(*address), session, pinned(address, lab_identity))
    assert steps[-1].ok
    assert "licence" in steps[-1].remedy


def test_every_platform_has_advice_on_the_same_matters():
    for advice in ADVICE.values():
        assert {"service", "no-tls", "fingerprint", "login", "permission"} <= set(advice)
        assert all(text.endswith((".", ")")) for text in advice.values())


def test_a_step_never_shows_a_secret():
    step = Step(name="login", ok=False, text="t", error=AuthError("Wrong."))
    assert "cAnArY" not in repr(step) + repr(SECRET)
    assert Certificate(host="h", port=1, sha256="ab" * 32)
