"""The engine in its child process, on the lab's virtual network and on loopback: what it says and never says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hvconsole
from hvconsole.clock import SystemClock
from hvconsole.errors import LocalError
from hvconsole.lab import Lab
from hvconsole.lab.objects import Vm
from hvconsole.monitor import frames, icmp
from hvconsole.monitor.icmp import IcmpEngine, PingTarget, Row, engine_command, no_right_to_ping
from tests.monitor.stage import CLOCK, Waiter

INTERVAL_S = 0.4


class Heard:
    """A sink that keeps everything."""

    def __init__(self, waiter: Waiter) -> None:
        self.rows: list[Row] = []
        self.interruptions: list[str] = []
        self._waiter = waiter

    def deliver(self, row: Row) -> None:
        self.rows.append(row)
        self._waiter.changed()

    def interrupted(self, now: float, sentence: str) -> None:
        self.interruptions.append(sentence)
        self._waiter.changed()

    def results(self) -> list[int]:
        return [row[1] for row in self.rows]


Start = Callable[..., IcmpEngine]


@pytest.fixture
def engine(waiter: Waiter) -> Iterator[Start]:
    engines: list[IcmpEngine] = []

    def start(clock: SystemClock = CLOCK, **options: Any) -> IcmpEngine:
        made = IcmpEngine(clock, **options)
        engines.append(made)
        made.start()
        return made

    yield start
    for made in engines:
        made.stop()
    waiter.until(lambda: not any(made.alive() for made in engines), "the engine's threads to end", 15)


def target(address: str, interval_s: float = INTERVAL_S, **values: Any) -> PingTarget:
    given: dict[str, Any] = {"gap_s": interval_s / 10, "timeout_s": 0.15, "pings": 2, **values}
    return PingTarget(address=address, interval_s=interval_s, **given)


def guests(lab: Lab, v6: bool = False) -> list[tuple[Vm, str]]:
    """Running guests of the lab, with an address of each."""
    found = []
    for vm in lab.world.vms.values():
        mine = [a for nic in vm.nics for a in nic.addresses if (":" in a) == v6 and not a.startswith("fe80")]
        if mine and lab.world.answers(mine[0]):
            found.append((vm, mine[0]))
    return found


def test_guests_answer_until_the_cable_is_pulled(lab: Lab, engine: Start, waiter: Waiter) -> None:
    running = engine(lab_network=lab.network)
    (vm, address), (_, other) = guests(lab)[:2]
    heard, beside = Heard(waiter), Heard(waiter)
    running.open(target(address), heard)
    running.open(target(other), beside)
    waiter.until(lambda: heard.results()[:2] == [frames.OK] * 2, "two good rounds")
    assert all(0 <= rtt < 150 for rtt in heard.rows[0][7:9])
    pulled = CLOCK.monotonic()
    lab.pull_cable(vm.id)
    waiter.until(lambda: frames.LOST in heard.results(), "a lost round")
    lost = next(row for row in heard.rows if row[1] == frames.LOST)
    took = CLOCK.monotonic() - pulled
    assert took < INTERVAL_S + 0.15 + 0.2
    assert lost[6] > lost[5], "somebody else was heard since the round began"
    lab.plug_cable(vm.id)
    waiter.until(lambda: heard.results()[-1] == frames.OK, "it to answer again")
    assert set(beside.results()) == {frames.OK}


def test_ipv6_guests_answer_too(lab: Lab, engine: Start, waiter: Waiter) -> None:
    running = engine(lab_network=lab.network)
    address = guests(lab, v6=True)[0][1]
    heard = Heard(waiter)
    running.open(target(address), heard)
    waiter.until(lambda: heard.results()[:1] == [frames.OK], "a good round")


def test_when_this_computer_is_offline_everybody_is_silent_at_once(lab: Lab, engine: Start, waiter: Waiter) -> None:
    running = engine(lab_network=lab.network)
    sinks = []
    for _, address in guests(lab)[:5]:
        sinks.append(Heard(waiter))
        running.open(target(address), sinks[-1])
    waiter.until(lambda: all(frames.OK in s.results() for s in sinks), "all to answer")
    lab.set_station_online(False)
    waiter.until(lambda: all(frames.LOST in s.results() for s in sinks), "all to be lost")
    for sink in sinks:
        lost = [row for row in sink.rows if row[1] == frames.LOST]
        assert all(0 < row[6] < row[5] for row in lost), "others were known and silent"


def test_who_is_still_there_is_asked_for_each_of_many_that_fall_silent_at_once(
    lab: Lab, engine: Start, waiter: Waiter
) -> None:
    """With rounds a tenth of an interval apart, one's second request leaves with the other's first."""
    running = engine(lab_network=lab.network)
    (_, gateway), *lost = guests(lab)[:13]
    sinks = [Heard(waiter) for _ in lost]
    running.open(target(gateway, 1.0, pings=1, witness=True), Heard(waiter))
    for (_, address), sink in zip(lost, sinks, strict=True):
        running.open(target(address, 1.0), sink)
    waiter.until(lambda: all(frames.OK in sink.results() for sink in sinks), "all to answer")
    for vm, _ in lost:
        lab.pull_cable(vm.id)
    waiter.until(lambda: all(sink.results().count(frames.LOST) >= 2 for sink in sinks), "all to be lost twice")
    for sink in sinks:
        silent = [row for row in sink.rows if row[1] == frames.LOST]
        assert all(row[6] >= row[5] for row in silent), "the gateway was heard while the requests left"


def test_a_lab_that_is_gone_is_unknown_not_lost(lab: Lab, engine: Start, waiter: Waiter) -> None:
    running = engine(lab_network=lab.network)
    heard = Heard(waiter)
    running.open(target(guests(lab)[0][1]), heard)
    waiter.until(lambda: frames.OK in heard.results(), "a good round")
    lab.stop()
    waiter.until(lambda: heard.results().count(frames.UNKNOWN) >= 3, "unknown rounds")
    assert frames.LOST not in heard.results()


def test_a_suspended_engine_reports_no_loss(lab: Lab, engine: Start, waiter: Waiter) -> None:
    running = engine(lab_network=lab.network)
    vm, address = guests(lab)[0]
    heard = Heard(waiter)
    running.open(target(address), heard)
    waiter.until(lambda: frames.OK in heard.results(), "a good round")
    pid = running.pid
    assert pid is not None
    for _ in range(4):
        count = len(heard.rows)
        os.kill(pid, signal.SIGSTOP)
        # A suspended laptop: its network is away, too.
        lab.set_station_online(False)
        threading.Event().wait(0.7)
        lab.set_station_online(True)
        os.kill(pid, signal.SIGCONT)
        waiter.until(lambda n=count: len(heard.rows) >= n + 2, "rounds after it")
    assert frames.LOST not in heard.results()
    assert vm.power == "running"


def test_a_killed_engine_is_started_again_and_the_round_in_flight_is_void(
    lab: Lab, engine: Start, waiter: Waiter
) -> None:
    troubles: list[LocalError | None] = []
    running = engine(lab_network=lab.network, on_trouble=troubles.append)
    heard = Heard(waiter)
    running.open(target(guests(lab)[0][1]), heard)
    waiter.until(lambda: frames.OK in heard.results(), "a good round")
    pid = running.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    waiter.until(lambda: heard.interruptions, "the interruption")
    count = len(heard.rows)
    waiter.until(lambda: len(heard.rows) > count + 1, "rounds of the new engine")
    assert set(heard.results()) == {frames.OK}
    assert heard.interruptions == [icmp.RESTARTING]
    assert [trouble and trouble.user_text for trouble in troubles] == [icmp.RESTARTING, None]
    assert running.pid != pid


def test_a_hanging_engine_is_replaced(lab: Lab, engine: Start, waiter: Waiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icmp, "SILENT_S", 0.3)
    running = engine(lab_network=lab.network)
    heard = Heard(waiter)
    running.open(target(guests(lab)[0][1]), heard)
    waiter.until(lambda: frames.OK in heard.results(), "a good round")
    pid = running.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)

    def replaced() -> bool:
        running.check()
        return running.pid not in (pid, None)

    waiter.until(replaced, "another engine")


class Laptop(SystemClock):
    """A clock that a suspend takes forward."""

    slept_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept_s


def test_a_healthy_engine_is_left_alone_after_a_suspend(lab: Lab, engine: Start, waiter: Waiter) -> None:
    clock = Laptop()
    running = engine(clock=clock, lab_network=lab.network)
    heard = Heard(waiter)
    running.open(target(guests(lab)[0][1]), heard)
    waiter.until(lambda: frames.OK in heard.results(), "a good round")
    pid = running.pid
    clock.slept_s = 3600.0
    running.check()
    count = len(heard.rows)
    waiter.until(lambda: len(heard.rows) > count + 1, "rounds after it")
    running.check()
    assert heard.interruptions == []
    assert running.pid == pid


def test_an_engine_that_ends_as_soon_as_it_starts_is_said(
    engine: Start, waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(icmp, "RESTART_S", (0.05,))
    running = engine(command=(sys.executable, "-c", "import sys; sys.exit('no such module')"))
    heard = Heard(waiter)
    running.open(target("192.0.2.1"), heard)
    waiter.until(lambda: heard.interruptions, "the end")
    assert running.trouble is not None
    assert running.trouble.user_text == icmp.RESTARTING


def test_a_removed_target_is_not_pinged_any_more(lab: Lab, engine: Start, waiter: Waiter) -> None:
    running = engine(lab_network=lab.network)
    (_, first), (_, second) = guests(lab)[:2]
    heard, other = Heard(waiter), Heard(waiter)
    ping = running.open(target(first), heard)
    running.open(target(second), other)
    waiter.until(lambda: heard.rows and other.rows, "rounds of both")
    ping.close()
    count = len(heard.rows)
    seen = len(other.rows)
    waiter.until(lambda: len(other.rows) >= seen + 3, "three more rounds of the other")
    assert len(heard.rows) <= count


def test_starts_are_spread_over_the_interval(lab: Lab, engine: Start, waiter: Waiter) -> None:
    running = engine(lab_network=lab.network)
    sinks = []
    for _, address in guests(lab)[:8]:
        sinks.append(Heard(waiter))
        running.open(target(address, 1.0), sinks[-1])
    waiter.until(lambda: all(sink.rows for sink in sinks), "a round of each")
    phases = sorted(sink.rows[0][5] % 1.0 for sink in sinks)
    gaps = [b - a for a, b in zip(phases, [*phases[1:], phases[0] + 1.0], strict=True)]
    assert max(gaps) < 0.35


def test_no_address_is_refused_before_it_reaches_the_engine(engine: Start, waiter: Waiter) -> None:
    running = engine(command=(sys.executable, "-c", "import sys; sys.stdin.read()"))
    with pytest.raises(LocalError, match="no address"):
        running.open(target("web01; rm -rf /"), Heard(waiter))


def test_an_engine_that_cannot_be_started_is_said(engine: Start, waiter: Waiter) -> None:
    running = engine(command=("/nonexistent/python",))
    waiter.until(lambda: running.trouble is not None, "the trouble")
    assert running.trouble is not None
    assert "can't be started on this computer: [Errno 2] No such file" in running.trouble.user_text


# ---- real ICMP -------------------------------------------------------------------------------------------------


def may_ping() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True


needs_icmp = pytest.mark.skipif(not may_ping() and not os.environ.get("CI"), reason="no right to open an ICMP socket")


@needs_icmp
@pytest.mark.parametrize("address", ["127.0.3.7", "::1"])
def test_real_icmp_on_loopback(engine: Start, waiter: Waiter, address: str) -> None:
    running = engine()
    heard = Heard(waiter)
    running.open(target(address), heard)
    waiter.until(lambda: len(heard.rows) >= 2, "two rounds")
    assert heard.results()[:2] == [frames.OK, frames.OK]
    assert running.trouble is None


@needs_icmp
def test_a_busy_thread_beside_it_costs_no_round(engine: Start, waiter: Waiter) -> None:
    stop = threading.Event()

    def parse() -> None:
        while not stop.is_set():
            sum(n * n for n in range(10_000))

    busy = [threading.Thread(target=parse) for _ in range(2)]
    for thread in busy:
        thread.start()
    try:
        running = engine()
        sinks = [Heard(waiter) for _ in range(200)]
        for number, sink in enumerate(sinks):
            running.open(target(f"127.0.9.{number + 1}", 0.5), sink)
        waiter.until(lambda: all(len(sink.rows) >= 4 for sink in sinks), "four rounds of each", 20)
    finally:
        stop.set()
        for thread in busy:
            thread.join()
    assert {result for sink in sinks for result in sink.results()} <= {frames.OK, frames.UNKNOWN}


def test_without_the_right_to_ping_there_is_one_sentence_with_the_remedy(tmp_path: object) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give its rights away")
    code = (
        "import os, runpy, sys\n"
        "sys.argv = ['engine']\n"
        "import hvconsole.monitor.icmp_engine as engine\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(engine.main([]))\n"
    )
    outcome = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    kind, length = frames.FRAME.unpack_from(outcome.stdout)
    mode4, mode6, errno4, _ = frames.HELLO_BODY.unpack_from(outcome.stdout, frames.FRAME.size)
    assert (kind, length) == (frames.HELLO, frames.HELLO_BODY.size)
    if mode4 != frames.NO_SOCKET:
        pytest.skip("this system lets everybody ping")
    assert mode6 == frames.NO_SOCKET
    assert outcome.returncode == 3
    trouble = no_right_to_ping(errno4)
    assert "net.ipv4.ping_group_range" in trouble.user_text
    assert "CAP_NET_RAW" in trouble.user_text


def test_no_right_is_told_to_the_user_and_tried_again(
    engine: Start, waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(icmp, "RESTART_S", (0.05,))
    hello = frames.frame(frames.HELLO, frames.HELLO_BODY.pack(0, 0, 13, 97))
    script = f"import sys; sys.stdout.buffer.write({hello!r})"
    troubles: list[LocalError | None] = []
    running = engine(command=(sys.executable, "-c", script), on_trouble=troubles.append)
    heard = Heard(waiter)
    running.open(target("192.0.2.1"), heard)
    waiter.until(lambda: len(heard.interruptions) >= 2, "two tries")
    assert len(troubles) == 1
    assert troubles[0] is not None
    assert "doesn't let hvconsole send pings" in troubles[0].user_text
    assert heard.rows == []


def test_the_child_carries_no_window_and_no_backend() -> None:
    script = (
        "import sys, hvconsole.monitor.icmp_engine\n"
        "heavy = {'tkinter', 'Pmw', 'asyncio', 'ssl', 'hvconsole.backends', 'icmplib', 'sqlalchemy', 'pydantic'}\n"
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)\n"
    )
    interpreter = engine_command(None)[:3]
    root = str(Path(hvconsole.__file__).parent.parent)
    outcome = subprocess.run([*interpreter, "-c", script], env={**os.environ, "PYTHONPATH": root}, timeout=20)
    assert outcome.returncode == 0
