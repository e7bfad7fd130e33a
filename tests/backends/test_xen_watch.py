"""Following a server that forgets, restarts, is old, or lies about its events."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any
from xml.parsers.expat import ExpatError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Secret, Target, TaskContext
from hvconsole.backends.wire_calls import CallLimits
from hvconsole.backends.xen_cache import Cache
from hvconsole.backends.xen_rows import PARSERS
from hvconsole.backends.xen_watch import CLASSES, Watch
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    BadReply,
    HvError,
    NotSupported,
    OperationError,
    PermissionDenied,
    Refused,
    TaskCancelled,
    Unreachable,
)
from hvconsole.lab import Lab
from hvconsole.model import ObjectId, ServerInfo
from hvconsole.profiles import parse_url
from hvconsole.trust import FixedPins, PinStore

from .fake_xapi import PASSWORD, FakeXapi
from .hostile import HostileServer, Pins, identity

SERVER = ServerInfo(platform="xenserver", product="XCP-ng", version="8.3", address="h", port=443, user="root")


class FakeSession:
    """Answers what the test put there: records by class, batches of events in turn."""

    def __init__(self) -> None:
        self.generation = 1
        self.records: dict[str, Any] = {name: {} for name in PARSERS}
        self.records["pool"] = {"pool1": {"uuid": "u-pool"}}
        self.records["VM"] = {"vm1": {"uuid": "u-vm1", "name_label": "one"}}
        self.batches: list[Any] = []
        self.reads: list[str] = []
        self.tokens: list[str] = []
        self.pools: Any = ["pool1"]
        self.inject: Any = "token-0"

    def close(self) -> None:
        pass

    def transport(self, limits: CallLimits) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def read(self, name: str, following: str = "") -> Any:
        self.reads.append(name)
        value = self.records[name]
        if isinstance(value, Exception):
            raise value
        return value

    def call(self, method: str, *params: Any, **_options: Any) -> Any:
        if method == "pool.get_all":
            value = self.pools
        elif method == "event.inject":
            value = self.inject
        else:
            self.tokens.append(params[1])
            value = self.batches.pop(0) if self.batches else {"events": [], "token": "t", "valid_ref_counts": {}}
        if isinstance(value, Exception):
            raise value
        return value


def watching(session: FakeSession) -> Watch:
    return Watch(session, session, Cache(SERVER), SystemClock())  # type: ignore[arg-type]


def names(watch: Watch) -> set[str]:
    inventory = watch._cache.latest
    assert inventory is not None
    return {vm.name for vm in inventory.vms.values()}


def batch(*events: dict[str, Any], token: str = "t1", **counts: int) -> dict[str, Any]:
    return {"events": list(events), "token": token, "valid_ref_counts": counts}


def add(ref: str, name: str) -> dict[str, Any]:
    return {
        "class": "vm",
        "operation": "add",
        "ref": ref,
        "snapshot": {"uuid": f"u-{ref}", "name_label": name},
    }


def test_events_continue_from_the_token_taken_before_the_reads() -> None:
    session = FakeSession()
    session.batches = [batch(add("vm2", "two"), vm=2)]
    watch = watching(session)
    watch.watch(1)
    assert watch.watch(1) is not None
    assert names(watch) == {"one", "two"}
    assert session.tokens[0] == "token-0"
    assert session.reads == list(CLASSES)


def test_missed_deletion_is_found_by_the_counts_and_the_class_read_once() -> None:
    session = FakeSession()
    session.records["VM"]["vm2"] = {"uuid": "u-vm2", "name_label": "two"}
    watch = watching(session)
    watch.watch(1)
    del session.records["VM"]["vm2"]
    session.batches = [batch(vm=1, task=7), batch(vm=1)]
    session.reads.clear()
    assert watch.watch(1) is not None
    assert names(watch) == {"one"}
    assert session.reads == ["VM"]


def test_a_count_that_never_fits_does_not_make_it_read_for_ever() -> None:
    session = FakeSession()
    session.batches = [batch(vm=99) for _ in range(20)]
    watch = watching(session)
    watch.watch(1)
    session.reads.clear()
    watch.watch(0.2)
    assert session.reads == ["VM"]


@pytest.mark.parametrize("code", ["EVENT_FROM_TOKEN_PARSE_FAILURE", "EVENTS_LOST"])
def test_refused_token_means_reading_everything_again(code: str) -> None:
    session = FakeSession()
    watch = watching(session)
    watch.watch(1)
    session.records["VM"] = {"vm3": {"uuid": "u-vm3", "name_label": "three"}}
    session.batches = [Refused("lost", code=code)]
    assert watch.watch(1) is not None
    assert names(watch) == {"three"}


def test_events_that_an_unescaped_key_spoils_are_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvconsole.backends.xen_watch.POLL_S", 0.01)
    session = FakeSession()
    watch = watching(session)
    watch.watch(1)
    spoilt = BadReply("unreadable")
    spoilt.__cause__ = ExpatError("not well-formed")
    session.batches = [spoilt, spoilt]
    session.records["VM"] = {"vm3": {"uuid": "u-vm3", "name_label": "three"}}
    assert watch.watch(1) is not None
    assert names(watch) == {"three"}


def test_new_login_means_reading_everything_again() -> None:
    session = FakeSession()
    watch = watching(session)
    first = watch.watch(1)
    assert first is not None
    session.generation += 1
    session.records["VM"]["vm2"] = {"uuid": "u-vm2", "name_label": "two"}
    second = watch.watch(1)
    assert second is not None
    assert second.vms[ObjectId("u-vm1")] is first.vms[ObjectId("u-vm1")]
    assert names(watch) == {"one", "two"}


def test_server_without_inject_gives_its_token_by_event_from() -> None:
    session = FakeSession()
    session.inject = NotSupported("no", code="MESSAGE_METHOD_UNKNOWN")
    session.batches = [batch(token="from"), batch(add("vm2", "two"), vm=2)]
    watch = watching(session)
    watch.watch(1)
    assert watch.watch(1) is not None
    assert session.tokens == ["", "from"]


def test_server_that_does_not_name_its_pool_gives_its_token_by_event_from() -> None:
    session = FakeSession()
    session.pools = NotSupported("no", code="MESSAGE_METHOD_UNKNOWN")
    session.batches = [batch(token="from"), batch(add("vm2", "two"), vm=2)]
    watch = watching(session)
    watch.watch(1)
    assert watch.watch(1) is not None
    assert session.tokens == ["", "from"]


def test_server_without_events_is_read_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvconsole.backends.xen_watch.POLL_S", 0.05)
    session = FakeSession()
    session.inject = NotSupported("no", code="MESSAGE_METHOD_UNKNOWN")
    session.batches = [NotSupported("no", code="MESSAGE_METHOD_UNKNOWN") for _ in range(100)]
    watch = watching(session)
    watch.watch(1)
    session.records["VM"] = {"vm3": {"uuid": "u-vm3", "name_label": "three"}}
    assert watch.watch(2) is not None
    assert names(watch) == {"three"}


def test_class_that_an_old_server_lacks_is_empty() -> None:
    session = FakeSession()
    session.records["PBD"] = NotSupported("no", code="MESSAGE_METHOD_UNKNOWN")
    session.records["VDI"] = PermissionDenied("no", code="RBAC_PERMISSION_DENIED")
    assert watching(session).watch(1) is not None
    session.records["VM"] = NotSupported("no", code="MESSAGE_METHOD_UNKNOWN")
    with pytest.raises(OperationError):
        watching(session).watch(1)


def test_failed_read_is_repeated_at_the_next_watch() -> None:
    session = FakeSession()
    watch = watching(session)
    good, session.records["SR"] = session.records["SR"], BadReply("junk")
    with pytest.raises(BadReply):
        watch.watch(1)
    session.records["SR"] = good
    assert watch.watch(1) is not None


def test_woken_watch_looks_again() -> None:
    session = FakeSession()
    watch = watching(session)
    watch.watch(1)
    session.records["VM"]["vm2"] = {"uuid": "u-vm2", "name_label": "two"}
    session.batches = [TaskCancelled("woken")]
    watch.wake(stale=True)
    assert watch.watch(1) is not None
    assert names(watch) == {"one", "two"}


@pytest.mark.parametrize("count", ["9" * 5000, -1, 1e300, None, "²"])
def test_a_count_that_is_no_number_is_ignored(count: Any) -> None:
    session = FakeSession()
    session.batches = [batch(vm=count)]
    watch = watching(session)
    watch.watch(1)
    session.reads.clear()
    watch.watch(0.1)
    assert session.reads == []


def test_a_class_that_may_not_be_read_is_no_mismatch() -> None:
    session = FakeSession()
    session.records["VDI"] = PermissionDenied("no", code="RBAC_PERMISSION_DENIED")
    session.batches = [batch(add("vm2", "two"), vm=2, vdi=40)]
    watch = watching(session)
    watch.watch(1)
    assert watch.watch(1) is not None
    assert names(watch) == {"one", "two"}


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["vm", "add", "mod", "del", "vm1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["events", "token", "valid_ref_counts", "class", "operation", "ref", "snapshot", "vm"]),
            inner,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(HOSTILE, max_size=4))
def test_no_batch_of_events_does_more_than_fail(batches: list[Any]) -> None:
    session = FakeSession()
    session.batches = [*batches, BadReply("end")]
    watch = watching(session)
    watch.watch(1)
    for _ in range(len(batches) + 2):
        try:
            watch.watch(0)
            watch._wait(0.01)
        except HvError:
            pass
    assert watch._cache.latest is not None


def test_ten_changes_while_nobody_looks_are_one_inventory(lab: Lab) -> None:
    server = lab.servers[0]
    profile = parse_url(server.url)
    trust = FixedPins({profile.addresses[0]: server.sha256}, PinStore())
    hv = open_hypervisor(profile.target(), Secret(password=server.password), trust, SystemClock())
    try:
        first = hv.watch(10)
        assert first is not None
        vm = next(iter(first.vms.values()))
        renamed = threading.Thread(target=lambda: [hv.rename(vm.id, f"name {n}", TaskContext()) for n in range(10)])
        renamed.start()
        renamed.join()
        deadline = time.monotonic() + 10
        seen = first
        while seen.vms[vm.id].name != "name 9":
            assert time.monotonic() < deadline
            seen = hv.watch(1) or seen
    finally:
        hv.close()


def test_a_server_that_answers_at_once_every_time_is_not_asked_without_end() -> None:
    session = FakeSession()
    watch = watching(session)
    assert watch.watch(1) is not None
    assert watch.watch(0.5) is None
    assert 10 < len(session.tokens) < 60


def test_a_server_that_loses_events_every_time_is_not_read_without_end() -> None:
    session = FakeSession()
    watch = watching(session)
    assert watch.watch(1) is not None
    session.batches = [OperationError("Lost.", code="EVENTS_LOST")] * 10_000
    assert watch.watch(0.5) is None
    assert session.reads.count("VM") < 10


def test_a_server_that_takes_its_time_for_each_class_is_given_up_some_day(monkeypatch: pytest.MonkeyPatch) -> None:
    soon = CallLimits(total_s=1.0, stall_s=1.0, reply_bytes=1 << 20, elements=1000)
    monkeypatch.setattr("hvconsole.backends.xen_watch.EVERYTHING", soon)
    xapi = FakeXapi()
    with HostileServer(xapi.serve, identity=identity("slow")) as server:

        def slowly(*_params: Any) -> dict[str, Any]:
            server.stopping.wait(0.3)
            return {"r": {"uuid": "u"}}

        xapi.methods |= {f"{name}.get_all_records": slowly for name in CLASSES}
        xapi.methods |= {"pool.get_all": lambda _session: ["r"], "event.inject": lambda *_params: "token"}
        target = Target(platform="xenserver", addresses=((server.host, server.port),), user="root")
        trust = Pins((server.host, server.port, identity("slow").sha256))
        hv = open_hypervisor(target, Secret(password=PASSWORD), trust, SystemClock())
        with pytest.raises(Unreachable):
            hv.watch(30)
        hv.close()
    assert len([name for name, _params in xapi.calls if name.endswith("get_all_records")]) < len(CLASSES)
