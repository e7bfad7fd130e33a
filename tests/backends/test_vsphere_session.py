"""Coming in, being thrown out, answers that never come; and that nothing is ever done twice."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hvconsole.backends.base import Capability, CreateVm, Secret, Target, TaskContext
from hvconsole.backends.vsphere import open_vsphere
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    AuthError,
    BadReply,
    HvError,
    NotAHypervisor,
    OutcomeUnknown,
    PermissionDenied,
    ReadOnlyLicence,
    Unreachable,
)
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.sites import Identity
from hvconsole.lab.tasks import Timing
from hvconsole.lab.vsphere import methods
from hvconsole.lab.vsphere.faults import SoapFault
from hvconsole.model import PowerState, Verb
from hvconsole.operations import operation, why_not
from hvconsole.trust import FixedPins, PinStore

from .vsphere_lab import VsphereLab, first, named, until, vsphere_lab


@pytest.fixture
def lab(lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity) as running:
        yield running


@pytest.fixture
def ctx() -> TaskContext:
    return TaskContext()


# ---- addresses that don't answer -------------------------------------------------------------------------------


@contextlib.contextmanager
def half_dead(identity: Identity, serve: Callable[[socket.socket], None], *, tls: bool = True) -> Iterator[int]:
    """A listener whose every connection is handed to ``serve`` (after the TLS handshake)."""
    listener = socket.create_server(("127.0.0.2", 0))
    stopped = threading.Event()
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.settimeout(20)
            if tls:
                connection = identity.context.wrap_socket(connection, server_side=True)
            with contextlib.closing(connection):
                serve(connection)
                stopped.wait(20)

    def accept() -> None:
        while not stopped.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                thread = threading.Thread(target=one, args=(connection,))
                threads.append(thread)
                thread.start()

    listener.settimeout(0.2)
    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stopped.set()
        acceptor.join(5)
        for thread in threads:
            thread.join(5)
        listener.close()


def nothing(connection: socket.socket) -> None:
    """Take the request and stay silent."""
    connection.recv(65536)


def drip(connection: socket.socket) -> None:
    """One byte of the answer a second."""
    connection.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"<" * 20:
        connection.sendall(bytes([byte]))
        connection.settimeout(0.7)
        with contextlib.suppress(TimeoutError):  # the client says nothing more: this paces the bytes
            connection.recv(1)


def versions_only(connection: socket.socket) -> None:
    """Answer the question for the versions, and nothing else."""
    if not connection.recv(65536).startswith(b"GET"):
        return
    body = (
        b'<namespaces version="1.0"><namespace><name>urn:vim25</name><version>8.0.1.0</version></namespace>'
        b"</namespaces>"
    )
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.recv(65536)


@pytest.mark.parametrize(
    ("serve", "tls"),
    [(nothing, True), (drip, True), (versions_only, True), (lambda connection: None, False)],
    ids=["silent after the request", "dripping", "silent after the versions", "silent TLS handshake"],
)
def test_half_dead_addresses_are_given_up_in_ten_seconds(
    lab_identity: Identity, serve: Callable[[socket.socket], None], tls: bool
) -> None:
    with half_dead(lab_identity, serve, tls=tls) as port:
        target = Target(platform="vsphere", addresses=(("127.0.0.2", port),), user="root")
        trust = FixedPins({("127.0.0.2", port): lab_identity.sha256}, PinStore())
        begun = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            open_vsphere(target, Secret(password="x"), trust, SystemClock())
        assert time.monotonic() - begun <= 10.5
        assert caught.value.user_text


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n<!DOCTYPE x><a></a> ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<html></html>"[:-1],
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        b"\x00\xff\x00 no http at all \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
    ],
)
def test_something_else_answers(lab_identity: Identity, answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with half_dead(lab_identity, serve) as port:
        target = Target(platform="vsphere", addresses=(("127.0.0.2", port),), user="root")
        trust = FixedPins({("127.0.0.2", port): lab_identity.sha256}, PinStore())
        with pytest.raises(NotAHypervisor):
            open_vsphere(target, Secret(password="x"), trust, SystemClock())


def test_service_still_starting_is_worth_another_try(lab: VsphereLab, lab_identity: Identity) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    with half_dead(lab_identity, serve) as port:
        target = Target(platform="vsphere", addresses=(("127.0.0.2", port),), user="root")
        trust = FixedPins({("127.0.0.2", port): lab_identity.sha256}, PinStore())
        with pytest.raises(Unreachable) as caught:
            open_vsphere(target, Secret(password="x"), trust, SystemClock())
        assert caught.value.retryable


def test_the_second_address_is_tried(lab: VsphereLab) -> None:
    with socket.create_server(("127.0.0.2", 0)) as unused:
        dead = unused.getsockname()[1]
    target = Target(platform="vsphere", addresses=(("127.0.0.2", dead), (lab.address, lab.port)), user=lab.site.user)
    hv = open_vsphere(target, Secret(password=lab.site.password), lab.trust(), SystemClock())
    assert hv.info.port == lab.port
    hv.close()


# ---- versions and sessions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("release", "version"), [("6.5", "6.5"), ("7.0", "7.0.3.0"), ("8.0", "8.0.2.0")])
@pytest.mark.parametrize("esxi", [False, True], ids=["vcenter", "esxi"])
def test_every_release_is_spoken(lab_identity: Identity, release: str, version: str, esxi: bool) -> None:
    with vsphere_lab(lab_identity, release=release, esxi=esxi) as lab:
        hv = lab.log_in()
        steps = {step.name: step for step in hv.diagnose()}
        assert version in steps["version"].text
        inventory = first(hv)
        off = next(vm for vm in inventory.vms.values() if vm.power is PowerState.HALTED and vm.kind == "vm")
        hv.start(off.id, TaskContext())
        until(hv, lambda i: i.vms[off.id].power is PowerState.RUNNING)
        assert hv.creation_choices().guest_oses


def test_properties_that_a_server_refuses_to_know_are_left_out(
    lab: VsphereLab, ctx: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    understood = methods.parse_spec

    def refuses(element: Any) -> Any:
        spec = understood(element)
        for unknown in ("guest.toolsVersion", "config.firmware", "summary.multipleHostAccess"):
            if any(unknown in (paths or ()) for _kind, paths in spec.paths):
                raise SoapFault("InvalidProperty", "", name=unknown)
        return spec

    monkeypatch.setattr(methods, "parse_spec", refuses)
    hv = lab.log_in()
    vm = named(first(hv), "shop-01")
    assert vm.addresses
    assert dict(hv.details(vm.id).facts)["Guest host name"]
    hv.rename(vm.id, "renamed", ctx)
    until(hv, lambda i: i.vms[vm.id].name == "renamed")


def test_views_and_filters_are_made_anew_after_a_new_login(lab: VsphereLab, ctx: TaskContext) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "sandbox-zh")
    for round_number in range(3):
        lab.server.sessions.expire_all()
        with lab.world.lock:
            lab.vm("sandbox-zh" if round_number == 0 else f"name {round_number - 1}").name = f"name {round_number}"
            lab.world.changed(lab.world.vms[vm.id])
        until(hv, lambda i, n=round_number: i.vms[vm.id].name == f"name {n}")
    assert lab.server.sessions.count() == 1


def test_password_changed_meanwhile_is_a_login_error(lab: VsphereLab) -> None:
    hv = lab.log_in()
    first(hv)
    lab.site.password = "another"
    lab.server.sessions.expire_all()
    with pytest.raises(AuthError):
        hv.watch(2)


def test_not_authenticated_for_one_call_only_is_a_missing_right(lab: VsphereLab, ctx: TaskContext) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "sandbox-zh")
    rule = lab.world.faults.add(FaultRule(method="PowerOnVM_Task", code="NotAuthenticated"))
    with pytest.raises(PermissionDenied):
        hv.start(vm.id, ctx)
    assert rule.seen == 2
    assert lab.server.sessions.count() <= 2


def test_free_licence_marks_the_server_and_explains_every_entry(lab: VsphereLab, ctx: TaskContext) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "sandbox-zh")
    assert not hv.info.read_only
    lab.world.faults.add(FaultRule(method="PowerOnVM_Task", code="RestrictedVersion"))
    with pytest.raises(ReadOnlyLicence):
        hv.start(vm.id, ctx)
    assert "licence" in hv.info.read_only
    inventory = until(hv, lambda i: i if i.server.read_only else None)
    assert Capability.SNAPSHOT not in hv.capabilities
    assert Capability.METRICS in hv.capabilities
    for verb in (Verb.START, Verb.SNAPSHOT, Verb.CLONE, Verb.RENAME):
        assert why_not(operation(verb), inventory, vm.id, hv.capabilities) == hv.info.read_only


def test_restricted_version_in_a_task_marks_it_too(lab: VsphereLab, ctx: TaskContext) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "sandbox-zh")
    lab.world.faults.add(FaultRule(method="start", code="RestrictedVersion"))
    with pytest.raises(ReadOnlyLicence):
        hv.start(vm.id, ctx)
    assert hv.info.read_only


# ---- once --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", [Effect.DROP_AFTER, Effect.DROP_BEFORE, Effect.GARBAGE])
@pytest.mark.parametrize("method", ["CreateSnapshot_Task", "CloneVM_Task", "Rename_Task", "CreateVM_Task"])
def test_writes_are_sent_once_whatever_happens(lab: VsphereLab, ctx: TaskContext, method: str, effect: Effect) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "sandbox-zh")
    rule = lab.world.faults.add(FaultRule(method=method, effect=effect, body=b"<<<"))
    ask: dict[str, Callable[[], object]] = {
        "CreateSnapshot_Task": lambda: hv.snapshot(vm.id, "once", "", ctx),
        "CloneVM_Task": lambda: hv.clone_vm(vm.id, "once", ctx),
        "Rename_Task": lambda: hv.rename(vm.id, "once", ctx),
        "CreateVM_Task": lambda: hv.create_vm(CreateVm(name="once"), ctx),
    }
    with pytest.raises(OutcomeUnknown) as caught:
        ask[method]()
    assert "answer" in caught.value.user_text
    assert rule.seen == 1


def test_an_answer_lost_before_anything_happened_says_that_there_is_nothing(lab: VsphereLab, ctx: TaskContext) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "sandbox-zh")
    hv.snapshot(vm.id, "once", "an earlier one of that name", ctx)
    lab.world.faults.add(FaultRule(method="CreateSnapshot_Task", effect=Effect.DROP_BEFORE))
    with pytest.raises(OutcomeUnknown, match="there is no snapshot “once” so far"):
        hv.snapshot(vm.id, "once", "", ctx)


def test_an_answer_lost_while_the_server_is_at_it_says_so(lab_identity: Identity, ctx: TaskContext) -> None:
    with vsphere_lab(lab_identity, timing=Timing(snapshot=5.0, clone=5.0, copy=5.0)) as lab:
        hv = lab.log_in()
        vm = named(first(hv), "sandbox-zh")
        lab.world.faults.add(FaultRule(method="CreateSnapshot_Task", effect=Effect.DROP_AFTER))
        with pytest.raises(OutcomeUnknown, match="the snapshot “once” is being made"):
            hv.snapshot(vm.id, "once", "", ctx)
        other = named(first(lab.log_in()), "shop-old")
        lab.world.faults.add(FaultRule(method="CloneVM_Task", effect=Effect.DROP_AFTER))
        with pytest.raises(OutcomeUnknown, match="the VM “twice” is being made"):
            hv.clone_vm(other.id, "twice", ctx)


@pytest.mark.parametrize("method", ["CreateSnapshot_Task", "CloneVM_Task"])
def test_lost_reply_has_happened_once_and_is_found(lab: VsphereLab, ctx: TaskContext, method: str) -> None:
    hv = lab.log_in()
    vm = named(first(hv), "sandbox-zh")
    lab.world.faults.add(FaultRule(method=method, effect=Effect.DROP_AFTER))
    ask: dict[str, Callable[[], object]] = {
        "CreateSnapshot_Task": lambda: hv.snapshot(vm.id, "once", "", ctx),
        "CloneVM_Task": lambda: hv.clone_vm(vm.id, "once", ctx),
    }
    with pytest.raises(OutcomeUnknown, match=r"was lost, but it was done: the \w+ “once” is there"):
        ask[method]()
    if method == "CloneVM_Task":
        until(hv, lambda i: len([one for one in i.vms.values() if one.name == "once"]) == 1)
    else:
        until(hv, lambda i: [s.name for s in i.vms[vm.id].snapshots] == ["once"])
        assert len(hv.find_snapshots(vm.id, "once").found) == 1


def test_connection_lost_while_a_task_runs_does_not_lose_the_task(lab_identity: Identity, ctx: TaskContext) -> None:
    with vsphere_lab(lab_identity, timing=Timing(snapshot=1.5)) as lab:
        hv = lab.log_in()
        vm = named(first(hv), "sandbox-zh")
        cut = threading.Timer(0.5, lambda: lab.server._server and lab.server._server.cut_all())
        cut.start()
        assert hv.snapshot(vm.id, "through", "", ctx).name == "through"
        cut.join()
        with lab.world.lock:
            assert [s.name for s in lab.world.snapshots_of(vm.id)] == ["through"]


def test_password_is_nowhere_in_errors_or_reprs(lab: VsphereLab) -> None:
    hv = lab.log_in()
    first(hv)
    lab.site.password = "changed"
    lab.server.sessions.expire_all()
    with pytest.raises(HvError) as caught:
        hv.watch(2)
    error: BaseException | None = caught.value
    while error is not None:
        assert "lab-vc-7" not in f"{error!r} {error} {getattr(error, 'detail', '')}"
        error = error.__cause__ or error.__context__
    assert "lab-vc-7" not in repr(vars(hv))


def test_garbage_instead_of_a_page(lab: VsphereLab) -> None:
    hv = lab.log_in()
    first(hv)
    lab.world.faults.add(FaultRule(method="WaitForUpdatesEx", effect=Effect.GARBAGE, body=b"<a/>"))
    hv.refresh()
    with pytest.raises((BadReply, Unreachable)):
        hv.watch(1)
