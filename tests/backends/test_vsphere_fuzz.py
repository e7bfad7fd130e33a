"""Thousands of damaged replies, from the login to the last verb: every one ends as an error of ours or as nothing.

The number of rounds is HVCONSOLE_FUZZ_ROUNDS (60): each round is one login with its calls against the lab, one reply in
20, 8 or 3 damaged after it was received.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest

from hvconsole.backends.base import Hypervisor, TaskContext
from hvconsole.backends.vsphere_soap import WireStub
from hvconsole.backends.xmlguard import check_xml
from hvconsole.errors import HvError, NotAHypervisor, Unreachable
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.sites import Identity

from .vsphere_lab import VsphereLab, vsphere_lab

ROUNDS = int(os.environ.get("HVCONSOLE_FUZZ_ROUNDS", "60"))
LONGEST_S = 5.0


@pytest.fixture(scope="module")
def lab(lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity) as running:
        yield running


def damaged(body: bytes, chance: random.Random) -> bytes:
    """One of the ways in which bytes go wrong."""
    data = bytearray(body)
    way = chance.randrange(9)
    where = chance.randrange(max(1, len(data)))
    if way == 0:
        del data[where:]
    elif way == 1 and data:
        data[where] = chance.randrange(256)
    elif way == 2:
        data[where:where] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 30)))
    elif way == 3:
        end = min(len(data), where + chance.randrange(1, 200))
        del data[where:end]
    elif way == 4:
        end = min(len(data), where + chance.randrange(1, 200))
        data[where:where] = data[where:end]
    elif way == 5:
        for text in (b"<val", b"<name>", b"<obj", b"<returnval", b"xsi:type", b"<state>", b'type="'):
            if chance.random() < 0.3:
                data = bytearray(bytes(data).replace(text, chance.choice((b"<x", b"", text + b" ", b"<!--")), 1))
    elif way == 6:
        data = bytearray(bytes(data).replace(b"xsd:int", b"xsd:dateTime").replace(b"xsd:boolean", b"NoSuchType"))
    elif way == 7:
        data = bytearray(bytes(data).replace(b"VirtualMachine", chance.choice((b"HostSystem", b"Nonsense"))))
    else:
        data = bytearray(chance.choice((b"", b"<a/>", b"\0" * 50, b"<html></html>", b"[" * 5000)))
    return bytes(data)


class Damage:
    """Damages what the stub receives, after the wire has read it and as the wire checks it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, chance: random.Random, one_in: int) -> None:
        self.count = 0
        original = WireStub._exchange

        def exchange(stub: WireStub, request: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
            status, body = original(stub, request, headers)
            if chance.randrange(one_in) == 0:
                self.count += 1
                body = damaged(body, chance)
                check_xml(body, 1_000_000)
                if chance.random() < 0.2:
                    status = 500 if status == 200 else 200
            return status, body

        monkeypatch.setattr(WireStub, "_exchange", exchange)


def everything(hv: Hypervisor) -> Iterator[Callable[[], object]]:
    ctx = TaskContext()
    inventory = hv.watch(0.3)
    vm = next(iter(inventory.vms)) if inventory is not None and inventory.vms else "vm-1"
    host = next(iter(inventory.hosts)) if inventory is not None and inventory.hosts else "host-1"
    yield lambda: hv.details(vm)
    yield lambda: hv.host_info(host)
    yield lambda: hv.network_map(host)
    yield lambda: hv.events()
    yield lambda: hv.metrics(vm)
    yield lambda: hv.creation_choices()
    yield lambda: hv.find_snapshots(vm, "x")
    yield lambda: list(hv.diagnose())
    yield lambda: hv.rename(vm, "renamed", ctx)
    yield lambda: hv.watch(0.1)
    yield hv.refresh
    yield lambda: hv.watch(0.1)


def test_damaged_replies_end_as_errors_of_ours(lab: VsphereLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvconsole.backends.vsphere_tasks.LOST_S", 0.2)
    seed = random.randrange(1 << 30)
    count = 0
    for number in range(ROUNDS):
        chance = random.Random(seed + number)
        with monkeypatch.context() as patch:
            damage = Damage(patch, chance, (20, 8, 3)[number % 3])
            one_round(lab, f"seed {seed + number}")
            count += damage.count
        lab.server.sessions.expire_all()
    assert count > ROUNDS


def one_round(lab: VsphereLab, label: str) -> None:
    try:
        hv = lab.log_in()
    except HvError:
        return
    try:
        calls = everything(hv)
        while True:
            started = time.monotonic()
            try:
                call = next(calls, None)
                if call is None:
                    return
                call()
            except HvError:
                pass
            except Exception as exc:
                raise AssertionError(f"{type(exc).__name__} came through, {label}") from exc
            assert time.monotonic() - started < LONGEST_S, label
    finally:
        hv.close()


ATTACKS = {
    "billion laughs": b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><l>&b;</l>',
    "entity chain": b"<!DOCTYPE x ["
    + b"".join(b'<!ENTITY e%d "&e%d;">' % (n, n + 1) for n in range(20_000))
    + b"]><x/>",
    "external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "external dtd": b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><x/>',
    "deep": b"<a>" * 100_000,
    "huge comment": b"<a><!--" + b"x" * (3 << 20) + b"--></a>",
    "huge attribute": b'<a b="' + b"x" * (3 << 20) + b'"/>',
    "utf-16": "<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"),
    "utf-7": b"<?xml version='1.0' encoding='utf-7'?><a/>",
    "no xml": b"hello",
    "empty": b"",
    "nul": b"\0" * 1000,
    "html": b"<html><body>It works!</body></html>",
    "another answer": b'<x:Envelope xmlns:x="http://schemas.xmlsoap.org/soap/envelope/"><x:Body><LogoutResponse '
    b'xmlns="urn:vim25"/></x:Body></x:Envelope>',
    "many elements": b"<a>" + b"<b/>" * 200_000 + b"</a>",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
@pytest.mark.parametrize("method", ["RetrieveServiceContent", "Login"])
def test_attacks_at_the_login(lab: VsphereLab, method: str, attack: bytes) -> None:
    rule = lab.world.faults.add(FaultRule(method=method, effect=Effect.GARBAGE, body=attack))
    begun = time.monotonic()
    try:
        with pytest.raises((NotAHypervisor, Unreachable)):
            lab.log_in()
    finally:
        lab.world.faults.remove(rule)
    assert time.monotonic() - begun < LONGEST_S


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_attacks_in_a_session(lab: VsphereLab, attack: bytes) -> None:
    hv = lab.log_in()
    inventory = hv.watch(5)
    assert inventory is not None
    rule = lab.world.faults.add(FaultRule(method="*", effect=Effect.GARBAGE, body=attack))
    try:
        for ask in (
            lambda: hv.details(next(iter(inventory.vms))),
            hv.events,
            lambda: hv.watch(1),
            lambda: hv.creation_choices(next(iter(inventory.hosts))),
        ):
            begun = time.monotonic()
            with pytest.raises(HvError):
                ask()
            assert time.monotonic() - begun < LONGEST_S
    finally:
        lab.world.faults.remove(rule)
        hv.close()
