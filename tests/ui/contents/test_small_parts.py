"""ui/wording.py, ui/asking.py, ui/listing.py, ui/cards.py, ui/tclvar.py: the small parts of pages and dialogs."""

from __future__ import annotations

import datetime as dt
import gc
import threading
import time
import tkinter as tk
import weakref
from collections.abc import Callable
from tkinter import ttk

import pytest

from hvconsole.errors import HvError, LocalError
from hvconsole.ui.asking import Asker
from hvconsole.ui.cards import Card, Facts, Meter, MiniTable, ScrollArea
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.listing import ListColumn, Listing
from hvconsole.ui.tclvar import TclVar
from hvconsole.ui.theme import Theme
from hvconsole.ui.wording import ago, count, listed, local_time, near_time, percent, uptime
from tests.ui.contents.conftest import Driver, texts

Until = Callable[..., None]
NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)


# ---- words --------------------------------------------------------------------------------------------------


def test_times_near_and_far() -> None:
    assert near_time(None, NOW) == "—"
    assert near_time(NOW, NOW).startswith("today ")
    assert near_time(NOW - dt.timedelta(days=1), NOW).startswith("yesterday ")
    assert near_time(NOW - dt.timedelta(days=9), NOW).startswith("2026-11-1")
    assert local_time(None) == ""
    assert ago(NOW - dt.timedelta(seconds=12), NOW) == "12 s ago"
    assert uptime(NOW - dt.timedelta(days=41, hours=3), NOW) == "41 days"
    assert uptime(None, NOW) == "—"


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process can't be changed")
@pytest.mark.parametrize("zone", ["UTC-14", "UTC+12", "UTC"])
def test_moments_at_the_ends_of_the_calendar(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    # RFC 5280: a certificate without an end says 9999-12-31T23:59:59Z
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for when in (dt.datetime.max.replace(tzinfo=dt.UTC), dt.datetime.min.replace(tzinfo=dt.UTC)):
            assert local_time(when)
            assert near_time(when, NOW)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_numbers_and_lists() -> None:
    assert [count(n, "VM") for n in (0, 1, 2, 10_000)] == ["0 VMs", "1 VM", "2 VMs", "10,000 VMs"]
    assert count(2, "match", "matches") == "2 matches"
    assert [percent(f) for f in (None, 0.0, 0.004, 0.37, 1.0)] == ["—", "0 %", "0.4 %", "37 %", "100 %"]
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefgh"), 3) == "a, b, c and 5 more"


# ---- asking -------------------------------------------------------------------------------------------------


def test_answers_arrive_in_the_tk_thread(dispatcher: Dispatcher, until: Until) -> None:
    asker = Asker(dispatcher)
    heard: list[tuple[object, bool]] = []
    asker.run("x", lambda: 42, lambda a: heard.append((a, threading.current_thread() is threading.main_thread())))
    until(lambda: heard == [(42, True)])
    assert not asker.waiting("x")


def test_a_newer_question_makes_the_older_answer_void(dispatcher: Dispatcher, until: Until) -> None:
    asker, gate, heard = Asker(dispatcher), threading.Event(), list[object]()
    asker.run("x", lambda: gate.wait(10) and "old", heard.append)
    asker.run("x", lambda: "new", heard.append)
    until(lambda: heard == ["new"])
    gate.set()
    asker.run("y", lambda: "later", heard.append)
    until(lambda: "later" in heard)
    assert heard == ["new", "later"]


def test_dropped_questions_are_not_answered(dispatcher: Dispatcher, until: Until) -> None:
    asker, gate, heard = Asker(dispatcher), threading.Event(), list[object]()
    asker.run("x", lambda: gate.wait(10), heard.append)
    asker.drop()
    gate.set()
    asker.run("y", lambda: "y", heard.append)
    until(lambda: heard == ["y"])


def test_errors_are_answers_too(dispatcher: Dispatcher, until: Until) -> None:
    asker, heard = Asker(dispatcher), list[object]()

    def refuse() -> None:
        raise LocalError("No.")

    asker.run("x", refuse, heard.append)
    until(lambda: len(heard) == 1)
    assert isinstance(heard[0], LocalError)


def test_a_worker_holds_nothing_of_the_window(dispatcher: Dispatcher, until: Until) -> None:
    asker, gate = Asker(dispatcher), threading.Event()
    watched = weakref.ref(asker)
    asker.run("x", lambda: gate.wait(10), lambda _answer: None)
    del asker
    gc.collect()
    assert watched() is None, "the waiting thread must not keep the page alive"
    gate.set()


def test_steps_are_told_one_by_one(dispatcher: Dispatcher, until: Until) -> None:
    asker, heard, done = Asker(dispatcher), list[object](), list[object]()
    tell = asker.teller("x", heard.append)

    def work() -> str:
        for n in range(3):
            tell(n)
        return "end"

    asker.run("x", work, done.append)
    until(lambda: done == ["end"])
    assert heard == [0, 1, 2]


# ---- lists, cards, meters -----------------------------------------------------------------------------------


def test_a_list_shows_its_bar_only_when_it_is_long(root: tk.Tk, theme: Theme, until: Until) -> None:
    listing = Listing(theme, root, (ListColumn("a", "A", 100), ListColumn("n", "N", 80, numeric=True)), rows=4)
    listing.frame.pack()
    listing.insert("1", "one", ("1",))
    until(lambda: bool(listing.tree.winfo_ismapped()))
    assert not listing._bar.winfo_ismapped()
    for n in range(2, 30):
        listing.insert(str(n), "more", (str(n),))
    until(lambda: bool(listing._bar.winfo_ismapped()))
    listing.set("1", 0, "99")
    assert listing.tree.set("1", "n").strip() == "99"
    listing.clear()
    until(lambda: not listing._bar.winfo_ismapped())


def test_facts_change_in_place(root: tk.Tk, theme: Theme) -> None:
    facts = Facts(theme, root)
    facts.frame.pack(fill="x")
    facts.show([("State", "Running"), ("Host", "")])
    labels = [str(w) for w in facts.frame.winfo_children()]
    facts.show([("State", "Halted"), ("Host", "")])
    assert [str(w) for w in facts.frame.winfo_children()] == labels
    assert facts.value("State") == "Halted"
    assert "—" in texts(facts.frame)
    facts.show([("State", "Halted")])
    assert len(facts.frame.winfo_children()) == 2


def test_a_value_is_copied_with_the_right_button(root: tk.Tk, theme: Theme, driver: Driver, until: Until) -> None:
    facts = Facts(theme, root)
    facts.frame.pack(fill="x")
    facts.show([("UUID", "6f1c0a52")])
    value = facts._rows[0][1]
    until(lambda: bool(value.winfo_ismapped()))
    driver.click(value, 10, button=3)
    until(lambda: facts._menu is not None and bool(facts._menu.winfo_ismapped()))
    driver.key("Down", "Return")
    until(lambda: root.clipboard_get() == "6f1c0a52")


def test_a_table_in_a_card_says_what_it_leaves_out(root: tk.Tk, theme: Theme) -> None:
    table = MiniTable(theme, root, ("A", "B"), numeric=(1,))
    table.frame.pack()
    table.show([(str(n), "x") for n in range(20)], most=5)
    assert "and 15 more" in texts(table.frame)
    table.show([], empty="Nothing.")
    assert "Nothing." in texts(table.frame)


def test_a_meter_warns_when_nearly_full(root: tk.Tk, theme: Theme, until: Until) -> None:
    card = Card(theme, root, "Resources", "cpu")
    card.frame.pack(fill="x")
    meter = Meter(theme, card.body, "Memory")
    meter.frame.pack(fill="x")
    meter.show("95 %", 0.95)
    until(lambda: meter._photo is not None)
    assert meter._token == "warn"
    meter.show("95 %", 0.95, warn=False)
    assert meter._token == "accent"
    meter.show("8.0 GiB", None)
    assert not meter._bar.cget("image"), "an empty bar would say that nothing is used"


def test_a_page_scrolls_with_wheel_and_keys_when_it_is_too_high(
    root: tk.Tk, theme: Theme, driver: Driver, until: Until
) -> None:
    area = ScrollArea(theme, root)
    area.frame.pack(fill="both", expand=True)
    for n in range(80):
        ttk.Label(area.body, text=f"line {n}").pack()
    until(lambda: bool(area._bar.winfo_ismapped()))
    driver.click(area.canvas, 100, 100, button=5)
    until(lambda: area.canvas.yview()[0] > 0, "the wheel")
    area.to_top()
    area.canvas.focus_force()
    driver.key("Next")
    until(lambda: area.canvas.yview()[0] > 0, "Page Down")
    for child in area.body.winfo_children()[1:]:
        child.destroy()
    until(lambda: not area._bar.winfo_ismapped())


# ---- Tcl variables ------------------------------------------------------------------------------------------


def test_a_variable_follows_its_tick_and_ends_with_its_owner(
    root: tk.Tk, theme: Theme, driver: Driver, until: Until
) -> None:
    box = ttk.Checkbutton(root, text="tick")
    box.pack()
    variable = TclVar(box, "0")
    variable.attach(box)
    until(lambda: bool(box.winfo_ismapped()))
    driver.click(box, 10)
    until(lambda: variable.on)
    variable.set("0")
    assert not box.instate(["selected"])
    box.destroy()
    assert variable.get() == ""


def test_a_variable_dropped_in_a_worker_touches_no_tk(root: tk.Tk, theme: Theme) -> None:
    box = ttk.Checkbutton(root)
    held = [TclVar(box, "1")]
    failed: list[BaseException] = []

    def drop() -> None:
        try:
            held.clear()
            gc.collect()
        except BaseException as exc:  # noqa: BLE001 - whatever comes is what the test is about
            failed.append(exc)

    thread = threading.Thread(target=drop)
    thread.start()
    thread.join(5)
    assert not failed
    assert not thread.is_alive()


@pytest.mark.parametrize("error", [LocalError("x"), HvError("y")])
def test_every_error_of_ours_has_a_sentence(error: HvError) -> None:
    assert error.user_text


def test_columns_beyond_the_edge_of_a_narrow_list_can_be_scrolled_to(root: tk.Tk, theme: Theme, until: Until) -> None:
    columns = (ListColumn("a", "A", 100), ListColumn("text", "Details", 150, stretch=True), ListColumn("b", "B", 90))
    listing = Listing(theme, root, columns, rows=4)
    listing.frame.pack(fill="both", expand=True)
    listing.insert("1", "web-01", ("plugged in", "x"))
    root.geometry("600x200")
    until(lambda: listing.tree.winfo_width() > 500)
    assert not listing._across.winfo_ismapped()
    root.geometry("240x200")
    until(lambda: bool(listing._across.winfo_ismapped()))
    assert listing.tree.column("text", "width") >= theme.px(150), "it can still be read"
    listing.tree.xview_moveto(1.0)
    until(lambda: bool(listing.tree.bbox("1", "b")))
    root.geometry("600x200")
    until(lambda: not listing._across.winfo_ismapped())
