"""The small pure parts: situation, addresses, storm, retention, station, evidence, settings, packets."""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole.errors import InvalidInput
from hvconsole.lab.network import echo_reply
from hvconsole.model import AUTOMATIC_MARK, ObjectId, PowerState, Snapshot
from hvconsole.monitor import addresses, evidence, frames, packets, retention, situation, station
from hvconsole.monitor.oneoff import icmp_sentence, is_address
from hvconsole.monitor.packets import EchoBuilder
from hvconsole.monitor.situation import NEVER, Situation, follow
from hvconsole.monitor.status import (
    DEFAULT,
    HOLD_LABELS,
    PRESETS,
    Hold,
    MonitorSettings,
    Round,
    RoundResult,
    preset_of,
    with_preset,
)
from hvconsole.monitor.storm import StormBudget
from hvconsole.outages import CaptureState, Outage
from hvconsole.text import unsendable
from tests.monitor.stage import SERVER, vm

UTC = dt.UTC
NOW = dt.datetime(2026, 11, 23, 7, 30, 15, tzinfo=UTC)


# ---- settings --------------------------------------------------------------------------------------------------


def test_the_default_is_the_brief() -> None:
    assert (DEFAULT.interval_s, DEFAULT.timeout_s, DEFAULT.pings, DEFAULT.lost_rounds) == (5.0, 1.0, 2, 1)
    assert preset_of(DEFAULT) == "At once"
    assert [PRESETS[name].lost_rounds for name in ("Classic 2012", "Balanced", "Cautious")] == [1, 3, 6]
    assert PRESETS["Classic 2012"].holds == frozenset()


def test_settings_survive_the_settings_file() -> None:
    changed = replace(DEFAULT, lost_rounds=4, holds=frozenset({Hold.STORM}), address="fd00::1", keep=9)
    assert MonitorSettings.from_mapping(changed.to_mapping()) == changed
    newer = {**changed.to_mapping(), "unheard_of": 1, "holds": ["storm", "a hold of the future"]}
    assert MonitorSettings.from_mapping(newer) == changed


@pytest.mark.parametrize(
    "values",
    [
        {"interval_s": 0.0},
        {"timeout_s": 5.0},
        {"pings": 9},
        {"lost_rounds": 0},
        {"prefix": "  "},
        {"prefix": "a\x00b"},
        {"keep": -1},
        {"holds": frozenset({Hold.NO_JOURNAL})},
        {"family": "ipx"},
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(DEFAULT, **values)  # type: ignore[arg-type]


def test_settings_of_the_wrong_type_are_refused() -> None:
    with pytest.raises(InvalidInput):
        MonitorSettings.from_mapping({"interval_s": "often"})


def test_a_preset_keeps_what_is_not_judgement() -> None:
    mine = replace(DEFAULT, interval_s=2.0, address="10.0.0.1", prefix="down")
    cautious = with_preset(mine, "Cautious")
    assert (cautious.interval_s, cautious.address, cautious.prefix) == (2.0, "10.0.0.1", "down")
    assert preset_of(cautious) == "Cautious"
    assert preset_of(replace(cautious, lost_rounds=5)) is None


# ---- situation -------------------------------------------------------------------------------------------------


def holds(now: Situation, at: float, armed_at: float = NEVER, silent: bool = False) -> frozenset[Hold]:
    return now.holds(DEFAULT, at, armed_at, silent)


@pytest.mark.parametrize(
    ("operations", "hold"),
    [
        (("snapshot",), Hold.SNAPSHOTTING),
        (("checkpoint",), Hold.SNAPSHOTTING),
        (("CreateSnapshot_Task",), Hold.SNAPSHOTTING),
        (("Creating Snapshot",), Hold.SNAPSHOTTING),
        (("Merging Disks",), Hold.SNAPSHOTTING),
        (("ConsolidateVMDisks_Task",), Hold.SNAPSHOTTING),
        (("pool_migrate",), Hold.MIGRATING),
        (("MigrateVM_Task",), Hold.MIGRATING),
        (("clean_reboot",), Hold.REBOOTED),
        (("RebootGuest",), Hold.REBOOTED),
        (("hard_shutdown",), Hold.REBOOTED),
    ],
)
def test_the_servers_words_are_understood(operations: tuple[str, ...], hold: Hold) -> None:
    seen = follow(Situation(), vm("web", operations=operations), 100.0)
    assert holds(seen, 100.0) == {hold}


@pytest.mark.parametrize("operation", ["export", "changing_memory_live", "send_trigger", "data_source_op"])
def test_other_work_holds_nothing(operation: str) -> None:
    assert holds(follow(Situation(), vm("web", operations=(operation,)), 100.0), 100.0) == frozenset()


def test_a_snapshots_aftermath_lasts_a_while() -> None:
    seen = follow(Situation(), vm("web", operations=("snapshot",)), 100.0)
    seen = follow(seen, vm("web"), 160.0)
    assert holds(seen, 160.0 + situation.AFTERMATH_S - 0.1) == {Hold.SNAPSHOTTING}
    assert holds(seen, 160.0 + situation.AFTERMATH_S) == frozenset()


def test_a_quick_snapshot_is_seen_by_its_result() -> None:
    seen = follow(Situation(), vm("web", snapshots=(snapshot(1),)), 100.0)
    assert holds(seen, 100.0) == frozenset()
    assert holds(follow(seen, vm("web", snapshots=(snapshot(1), snapshot(2))), 105.0), 106.0) == {Hold.SNAPSHOTTING}
    assert holds(follow(seen, vm("web"), 105.0), 106.0) == {Hold.SNAPSHOTTING}, "removing one stuns, too"


def test_a_move_to_another_host_was_a_migration() -> None:
    seen = follow(Situation(), vm("web", host_id=ObjectId("h1")), 100.0)
    seen = follow(seen, vm("web", host_id=ObjectId("h2")), 105.0)
    assert holds(seen, 106.0) == {Hold.MIGRATING}


def test_a_reboot_is_forgiven_until_it_came_back() -> None:
    seen = follow(Situation(), vm("web", started=NOW), 100.0)
    seen = follow(seen, vm("web", started=NOW + dt.timedelta(hours=5)), 200.0)
    assert holds(seen, 210.0) == {Hold.REBOOTED}
    assert holds(seen, 300.0, silent=True) == {Hold.REBOOTED}
    assert holds(seen, 321.0, silent=True) == frozenset(), "the grace is over"
    assert holds(seen, 240.0, silent=False) == frozenset(), "it went on answering for long"
    assert holds(seen, 210.0, armed_at=205.0) == frozenset(), "it was gone and is back"
    assert holds(seen, 210.0, armed_at=150.0) == {Hold.REBOOTED}


def test_a_start_time_computed_from_an_uptime_may_jitter() -> None:
    seen = follow(Situation(), vm("web", started=NOW), 100.0)
    seen = follow(seen, vm("web", started=NOW + dt.timedelta(seconds=3)), 200.0)
    assert holds(seen, 201.0) == frozenset()


def test_what_went_on_until_now_counts_from_its_end() -> None:
    moving = follow(Situation(), vm("web", operations=("pool_migrate",)), 100.0)
    assert holds(follow(moving, vm("web"), 500.0), 505.0) == {Hold.MIGRATING}
    rebooting = follow(Situation(), vm("web", operations=("clean_reboot",)), 100.0)
    assert holds(follow(rebooting, vm("web"), 500.0), 505.0) == {Hold.REBOOTED}


def test_a_vm_that_was_started_is_forgiven_also_where_the_server_tells_no_start_time() -> None:
    off = follow(Situation(), vm("web", power=PowerState.HALTED), 100.0)
    assert holds(follow(off, vm("web"), 200.0), 205.0) == {Hold.REBOOTED}


def test_a_migration_that_suspends_on_its_way_is_no_reboot() -> None:
    seen = follow(Situation(), vm("web", operations=("pool_migrate", "suspend")), 100.0)
    assert holds(seen, 101.0) == {Hold.MIGRATING}


def test_with_short_intervals_the_aftermath_is_short_too() -> None:
    quick = replace(DEFAULT, interval_s=1.0, timeout_s=0.5)
    seen = follow(follow(Situation(), vm("web", operations=("snapshot",)), 100.0), vm("web"), 101.0)
    assert seen.holds(quick, 102.9, NEVER, False) == {Hold.SNAPSHOTTING}
    assert seen.holds(quick, 103.0, NEVER, False) == frozenset()


def test_a_vm_that_was_out_of_sight_for_a_moment_keeps_its_excuses() -> None:
    seen = follow(Situation(), vm("web", operations=("snapshot", "pool_migrate")), 100.0)
    back = follow(follow(seen, None, 101.0), vm("web"), 102.0)
    assert holds(back, 103.0) == {Hold.SNAPSHOTTING, Hold.MIGRATING}


def test_running_means_worth_pinging() -> None:
    assert follow(Situation(), vm("web"), 1.0).running(connected=True)
    assert not follow(Situation(), vm("web", power=PowerState.SUSPENDED), 1.0).running(connected=True)
    checkpoint = vm("web", power=PowerState.SUSPENDED, operations=("checkpoint",))
    assert follow(Situation(), checkpoint, 1.0).running(connected=True)
    gone = follow(follow(Situation(), vm("web"), 1.0), None, 2.0)
    assert not gone.running(connected=True)
    assert gone.pause_reason() == "The VM no longer exists on the server."
    assert Situation().running(connected=False)


# ---- addresses -------------------------------------------------------------------------------------------------


def test_the_first_ipv4_is_pinged_unless_told_otherwise() -> None:
    reported = ("fe80::1", "fd00::5", "169.254.3.3", "10.0.0.5", "10.0.1.5", "10.0.0.5", "rubbish")
    assert addresses.usable(reported) == ("fd00::5", "10.0.0.5", "10.0.1.5")
    assert addresses.choose(DEFAULT, reported) == "10.0.0.5"
    assert addresses.choose(replace(DEFAULT, family="ipv6"), reported) == "fd00::5"
    assert addresses.choose(replace(DEFAULT, address="web.example"), reported) == "web.example"
    assert addresses.choose(DEFAULT, ()) == ""


def test_a_guest_that_reports_an_address_of_ours_is_not_taken_for_alive() -> None:
    own = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "255.255.255.255", "0.0.0.0", "224.0.0.1")
    assert addresses.usable(own) == ()
    assert addresses.choose(DEFAULT, (*own, "10.0.0.5")) == "10.0.0.5"


def test_an_address_is_left_only_for_a_new_one() -> None:
    known = ("10.0.0.5", "10.0.1.5")
    assert addresses.follow(DEFAULT, "10.0.0.5", known, ("10.0.1.5",)) == "10.0.0.5"
    assert addresses.follow(DEFAULT, "10.0.0.5", known, ()) == "10.0.0.5"
    assert addresses.follow(DEFAULT, "10.0.0.5", known, ("10.0.1.5", "10.0.0.5")) == "10.0.0.5"
    assert addresses.follow(DEFAULT, "10.0.0.5", known, ("10.0.0.77", "10.0.1.5")) == "10.0.0.77"
    assert addresses.follow(replace(DEFAULT, family="ipv6"), "10.0.0.5", known, ("10.0.0.5",)) == ""


def test_an_address_of_the_other_family_is_no_reason_to_stop() -> None:
    """The cable is pulled, and all that the tools still report is a new IPv6 address."""
    v4 = replace(DEFAULT, family="ipv4")
    assert addresses.follow(v4, "10.0.0.5", ("10.0.0.5",), ("fd00::9",)) == "10.0.0.5"


# ---- storm and retention ---------------------------------------------------------------------------------------


def test_the_budget_is_per_minute() -> None:
    budget = StormBudget()
    assert [budget.try_take(0.0, 3) for _ in range(5)] == [True] * 3 + [False] * 2
    assert not budget.try_take(59.9, 3)
    assert budget.try_take(60.0, 3)


def test_a_common_cause_needs_a_third_and_five() -> None:
    budget = StormBudget()
    for number in range(4):
        budget.lost(number, 0.0)
    assert not budget.common_cause(1.0, 8)
    budget.lost(4, 1.0)
    assert budget.common_cause(1.0, 8)
    assert not budget.common_cause(1.0, 100)
    assert not budget.common_cause(62.0, 8)


def snapshot(number: int, *, own: bool = True, dated: bool = True) -> Snapshot:
    return Snapshot(
        id=ObjectId(f"s{number}"),
        name=f"Network_Down {number}",
        description=f"{AUTOMATIC_MARK}\nx" if own else "made by hand",
        created=NOW + dt.timedelta(days=number) if dated else None,
    )


@given(
    st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.booleans()), max_size=12, unique_by=lambda t: t[0]),
    st.integers(0, 5),
)
def test_retention_touches_only_old_snapshots_of_its_own(made: list[tuple[int, bool, bool]], keep: int) -> None:
    snapshots = tuple(snapshot(n, own=own, dated=dated) for n, own, dated in made)
    going = retention.expendable(vm("web", snapshots=snapshots), keep)
    assert all(s.automatic and s.created is not None for s in going)
    staying = [s for s in snapshots if s.automatic and s.created is not None and s not in going]
    if keep:
        assert len(staying) <= keep
        assert len(staying) == min(keep, len(staying) + len(going))
        assert all(old.created <= new.created for old in going for new in staying if old.created and new.created)
        assert list(going) == sorted(going, key=lambda s: s.created or NOW)
    else:
        assert going == ()


def test_retention_waits_for_a_quiet_running_vm() -> None:
    assert retention.allowed_now(vm("web"))
    assert not retention.allowed_now(vm("web", operations=("snapshot",)))
    assert not retention.allowed_now(vm("web", power=PowerState.HALTED))


# ---- station ---------------------------------------------------------------------------------------------------


def test_silence_of_those_who_used_to_answer_is_ours() -> None:
    assert station.silent(100.0, 99.0)
    assert not station.silent(100.0, 100.1)
    assert not station.silent(100.0, 0.0), "nobody else is known to answer"


def test_gateways_of_this_computer() -> None:
    route = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t{}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"
    ).format(f"{struct.unpack('=I', bytes([10, 0, 0, 1]))[0]:08X}")
    route6 = (
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "fd000000000000000000000000000001 00000064 00000001 00000000 00000003 eth0\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "fe800000000000000000000000000001 00000064 00000001 00000000 00000003 eth0\n"
        "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n"
    )
    assert station.default_gateways(route, route6) == ("10.0.0.1", "fd00::1")
    assert station.default_gateways("", "") == ()


# ---- evidence --------------------------------------------------------------------------------------------------


def test_name_and_description_tell_why() -> None:
    outage = Outage(
        id="abc",
        server_id=SERVER,
        vm_id=ObjectId("web"),
        vm_name="web\u202e\x07[exec]",
        opened=NOW,
        snapshot_name="n",
        state=CaptureState.INTENT,
    )
    assert evidence.snapshot_name("Network_Down", NOW) == "Network_Down 2026-11-23 07:30:15Z"
    lost = Round(NOW, RoundResult.LOST, (None, None), "Host \x00 unreachable")
    rounds = [Round(NOW, RoundResult.OK, (1.0, 2.0)), lost]
    text = evidence.describe(outage, DEFAULT, "10.0.0.5", rounds, "station")
    assert text.startswith(AUTOMATIC_MARK + "\n")
    assert unsendable(text) is None
    assert "Outage abc" in text
    assert text.index("lost  no reply, no reply") < text.index("ok  1.0 ms, 2.0 ms"), "newest first"
    long = evidence.describe(outage, DEFAULT, "10.0.0.5", [*rounds[:1] * 50, lost], "station")
    assert long.count("  ok  ") == evidence.ROUNDS_TOLD - 1
    east = NOW.astimezone(dt.timezone(dt.timedelta(hours=14)))
    assert evidence.snapshot_name("Network_Down", east) == "Network_Down 2026-11-23 07:30:15Z"


def test_every_hold_has_its_words() -> None:
    assert set(HOLD_LABELS) | {Hold.SERVER_AWAY, Hold.NO_JOURNAL} == set(Hold)


# ---- packets ---------------------------------------------------------------------------------------------------

shorts = st.integers(0, 0xFFFF)
words = st.integers(0, 0xFFFFFFFF)


@given(st.binary(min_size=8, max_size=8), shorts, shorts, words, words, st.integers(0, 3))
def test_requests_carry_a_right_checksum_and_their_token(
    nonce: bytes, identifier: int, sequence: int, slot: int, round_no: int, which: int
) -> None:
    builder = EchoBuilder(nonce, identifier)
    message = builder.v4(sequence, slot, round_no, which)
    assert packets.checksum(message) == 0
    assert len(message) == packets.HEADER_BYTES + packets.PAYLOAD_BYTES
    assert builder.token(message, packets.HEADER_BYTES) == (slot, round_no, which)
    assert builder.token(builder.v6(sequence, slot, round_no, which), 8) == (slot, round_no, which)
    assert EchoBuilder(bytes(b ^ 1 for b in nonce), identifier).token(message, 8) is None
    # the lab answers it, and the answer carries the same token
    import ipaddress

    reply = echo_reply(ipaddress.IPv4Address("10.0.0.5"), message)
    assert reply is not None
    assert builder.token(reply, 8) == (slot, round_no, which)


@given(st.binary(max_size=120))
def test_no_packet_from_outside_breaks_the_parser(data: bytes) -> None:
    builder = EchoBuilder(bytes(8), 1)
    builder.token(data, 8)
    packets.inner_v4(data, 8)
    packets.inner_v6(data, 8)


def test_an_icmp_error_names_the_request_it_is_about() -> None:
    builder = EchoBuilder(bytes(8), 77)
    request = builder.v4(5, 1, 2, 0)
    length = struct.pack("!H", 20 + len(request))
    header = b"\x45\x00" + length + bytes(5) + b"\x01" + bytes(6) + bytes([10, 0, 0, 9])
    assert packets.inner_v4(b"\x03\x01" + bytes(6) + header + request[:8], 8) == (bytes([10, 0, 0, 9]), 77, 5)
    assert icmp_sentence(3, 1, v6=False).lower().startswith("destination host unreachable")
    assert icmp_sentence(11, 0, v6=False)
    assert icmp_sentence(1, 3, v6=True)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50)), max_size=5), st.integers(1, 7), st.booleans())
def test_frames_come_through_any_pipe(sent: list[tuple[int, bytes]], piece: int, torn: bool) -> None:
    stream = b"".join(frames.frame(kind, body) for kind, body in sent)
    if torn:
        stream = stream[:-1]
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        data = stream[position : position + min(count, piece)]
        position += len(data)
        return data

    got = []
    while (one := frames.read_frame(read)) is not None:
        got.append(one)
    assert got == (sent[:-1] if torn and sent else sent)


def test_what_is_an_address() -> None:
    texts = ("10.0.0.1", "fd00::1", "web01", "", "10.0.0")
    assert [text for text in texts if is_address(text)] == ["10.0.0.1", "fd00::1"]
