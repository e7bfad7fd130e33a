"""Thousands of damaged replies, from the login to the last verb: every one ends as an error of ours or as nothing.

The number of rounds is HVCONSOLE_FUZZ_ROUNDS (200): each round is one login with its calls, one reply in 30, 10 or 3
damaged.
"""

from __future__ import annotations

import collections
import os
import random
import time
import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Hypervisor, Secret, Target, TaskContext
from hvconsole.backends.wire import Reply, WireConnection
from hvconsole.clock import SystemClock
from hvconsole.errors import HvError
from hvconsole.model import ObjectId

from .hostile import Pins

ROUNDS = int(os.environ.get("HVCONSOLE_FUZZ_ROUNDS", "200"))

VM = {
    "uuid": "u-vm",
    "name_label": "a & b",
    "power_state": "Running",
    "VBDs": ["vbd1"],
    "VIFs": ["vif1"],
    "snapshots": ["snap1"],
    "metrics": "m1",
    "guest_metrics": "g1",
    "resident_on": "host1",
    "allowed_operations": ["snapshot", "destroy"],
    "current_operations": {},
    "consoles": [],
}
SNAPSHOT = {**VM, "uuid": "u-snap", "is_a_snapshot": True, "is_a_template": True, "snapshot_of": "vm1"}
RECORDS: dict[str, Any] = {
    "pool": {"pool1": {"uuid": "u-pool", "master": "host1", "default_SR": "sr1"}},
    "host": {"host1": {"uuid": "u-host", "name_label": "h", "address": "10.0.0.1", "resident_VMs": ["vm1"]}},
    "VM": {"vm1": VM, "snap1": SNAPSHOT},
    "VBD": {"vbd1": {"uuid": "u-vbd", "VM": "vm1", "VDI": "vdi1", "type": "Disk"}},
    "VDI": {"vdi1": {"uuid": "u-vdi", "SR": "sr1", "VBDs": ["vbd1"], "virtual_size": "8"}},
    "VIF": {"vif1": {"uuid": "u-vif", "VM": "vm1", "device": "0", "network": "net1"}},
    "network": {"net1": {"uuid": "u-net", "name_label": "LAN"}},
    "SR": {"sr1": {"uuid": "u-sr", "name_label": "NFS"}},
    "VM_guest_metrics": {"g1": {"networks": {"0/ip": "10.0.0.2"}, "os_version": {"name": "x"}}},
    "VM_metrics": {"m1": {"start_time": "20261101T00:00:00Z"}},
    "task": {"task1": {"status": "success", "result": "<value>snap1</value>", "progress": 1.0}},
}


def answer(method: str) -> Any:
    class_name, _, name = method.removeprefix("Async.").partition(".")
    if method.startswith("Async."):
        return "task1"
    records = RECORDS.get(class_name, {})
    if name == "get_all_records":
        return records
    if name == "get_all":
        return list(records)
    if name == "get_record":
        return next(iter(records.values()), {})
    if name == "from":
        event = {"class": "vm", "operation": "mod", "ref": "vm1", "snapshot": {**VM, "name_label": "new"}}
        return {"events": [event], "token": "t", "valid_ref_counts": {"vm": 2}}
    if name == "get_since":
        return {"msg1": {"timestamp": "20261101T00:00:00Z", "name": "n", "body": "b"}}
    return f"{class_name.lower()}1"


def damaged(body: bytes, chance: random.Random) -> bytes:
    data = bytearray(body)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randrange(60)]
            case 2:
                data[at:at] = data[max(0, at - 80) : at]
            case 3:
                data[at:at] = chance.choice([b"<value>", b"</value>", b"<struct>", b"<array><data>", b"&x;", b"\0"])
            case 4:
                data[at:at] = chance.choice(
                    [b"<i4>9</i4>", b"<nil/>", b"<double>inf</double>", b"<boolean>x</boolean>"]
                )
            case _:
                word, other = chance.sample(
                    [b"Success", b"Failure", b"Value", b"string", b"Status", b"vm1", b"task1"], 2
                )
                data = bytearray(bytes(data).replace(word, other))
        if not data:
            break
    return bytes(data)


def calls(hv: Hypervisor, ctx: TaskContext) -> list[Callable[[], object]]:
    vm, snapshot, host = ObjectId("u-vm"), ObjectId("u-snap"), ObjectId("u-host")
    return [
        lambda: hv.watch(0.01),
        lambda: hv.watch(0.01),
        lambda: hv.details(vm),
        lambda: hv.snapshot(vm, "n", "d", ctx),
        lambda: hv.find_snapshots(vm, "n"),
        lambda: hv.delete_snapshot(vm, snapshot, ctx),
        lambda: hv.start(vm, ctx),
        lambda: hv.rename(vm, "n", ctx),
        lambda: hv.delete_vm(vm, ctx),
        lambda: hv.clone_vm(vm, "n", ctx),
        lambda: hv.host_info(host),
        lambda: hv.network_map(host),
        lambda: hv.enter_maintenance(host, ctx),
        lambda: hv.host_reboot(host, ctx),
        lambda: hv.events(),
        lambda: hv.console(vm),
        lambda: hv.metrics(vm),
        lambda: hv.screenshot(vm),
    ]


def test_damaged_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(20261123)
    target = Target(platform="xenserver", addresses=(("fuzz.invalid", 443),), user="root")
    monkeypatch.setattr("hvconsole.backends.xen_tasks.AWAY_LIMIT_S", 0.0)
    monkeypatch.setattr("hvconsole.backends.xen_snapshots.SETTLE_S", 0.0)

    def exchange(
        self: WireConnection, method: str, path: str, body: Any = None, headers: Any = None, *, sink: Any = None
    ) -> Reply:
        if method != "POST" or path == "/jsonrpc":
            return Reply(404, "Not Found", {}, b"")
        _params, name = xmlrpc.client.loads(body)
        value = {"Status": "Success", "Value": answer(name or "")}
        reply = xmlrpc.client.dumps((value,), methodresponse=True).encode()
        if chance.random() < damage:
            reply = damaged(reply, chance)
        if sink is not None:
            sink(reply)
            return Reply(200, "OK", {"Content-Type": "text/xml"}, b"")
        return Reply(200, "OK", {"Content-Type": "text/xml"}, reply)

    monkeypatch.setattr(WireConnection, "exchange", exchange)
    slowest = 0.0
    damage = 0.0
    outcomes: collections.Counter[str] = collections.Counter()
    for number in range(ROUNDS):
        damage = (0.03, 0.1, 0.33)[number % 3]
        started = time.monotonic()
        try:
            hv = open_hypervisor(target, Secret(password="x"), Pins(), SystemClock())
        except HvError:
            continue
        ctx = TaskContext()
        for call in calls(hv, ctx):
            started = time.monotonic()
            try:
                call()
                outcomes["fine"] += 1
            except HvError as exc:
                outcomes[type(exc).__name__] += 1
            slowest = max(slowest, time.monotonic() - started)
        hv.close()
    assert slowest < 20
    assert outcomes["fine"] > ROUNDS
    assert outcomes["BadReply"] + outcomes["OutcomeUnknown"] > ROUNDS
