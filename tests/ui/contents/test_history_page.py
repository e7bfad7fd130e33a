"""The History tab: search, filters, paging, details, export, news."""

from __future__ import annotations

import datetime as dt
import threading
import tkinter as tk
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hvconsole.errors import LocalError
from hvconsole.events import Happened
from hvconsole.history_rows import HistoryRow, local_user
from hvconsole.ui.pages.history import (
    PAGE_ROWS,
    WHATS,
    HistoryPage,
    cells,
    full_text,
    since,
    what_words,
)
from hvconsole.ui.rowtips import clipped_cells
from tests.ui.contents.conftest import Driver, texts
from tests.ui.stage import HOSTILE, NOW, StageHistory, StageShell, sample_rows, select_vms

Until = Callable[..., None]


@pytest.fixture
def history(shell: StageShell) -> StageHistory:
    found: Any = shell.services.history
    return found  # type: ignore[no-any-return]


@pytest.fixture
def page(shell: StageShell, root: tk.Tk, until: Until) -> Iterator[HistoryPage]:
    made = HistoryPage(shell, root)
    made.widget.pack(fill="both", expand=True)
    made.show(select_vms("v1"))
    until(lambda: not made.asker.waiting("history"), "the first search")
    yield made
    made.hide()


def shown(page: HistoryPage) -> list[str]:
    return [page.tree.set(iid, "what") for iid in page.tree.get_children()]


def settled(page: HistoryPage) -> bool:
    return page._typing is None and not page.asker.waiting("history")


def test_everything_is_listed_newest_first(page: HistoryPage) -> None:
    assert len(shown(page)) == 30
    assert page.tree.get_children()[0] == "30"
    assert str(page.summary.cget("text")) == "1 to 30 of 30"


def test_typing_searches_after_a_moment_and_escape_clears(page: HistoryPage, driver: Driver, until: Until) -> None:
    entry = page.text.component("entry")
    entry.focus_force()
    driver.type("missed")
    until(lambda: settled(page) and shown(page) == [])
    assert "Nothing matches." in texts(page.widget)
    driver.key("Escape")
    until(lambda: settled(page) and len(shown(page)) == 30)
    driver.type("pings lost")
    until(lambda: settled(page) and set(shown(page)) == {"Network lost"})


def test_filters_by_kind_outcome_time_and_selection(page: HistoryPage, history: StageHistory, until: Until) -> None:
    page.outcome.current(2)
    page._search_afresh()
    until(lambda: settled(page) and set(shown(page)) == {"Shut down"})
    page.outcome.current(0)
    page._only_this.set("1")
    page._search_afresh()
    until(lambda: settled(page) and len(shown(page)) == 15)
    assert history.asked[-1]["subject_id"] == "v1"
    assert history.asked[-1]["server_id"] == page.subject.connection.id
    page.time.current(1)
    page._search_afresh()
    until(lambda: settled(page))
    assert isinstance(history.asked[-1]["since"], dt.datetime)


def test_long_histories_are_turned_page_by_page(
    page: HistoryPage, history: StageHistory, driver: Driver, until: Until
) -> None:
    history.rows = sample_rows(450)
    page._search_afresh()
    until(lambda: settled(page) and len(shown(page)) == PAGE_ROWS)
    assert page.newer.instate(["disabled"])
    driver.click(page.older)
    until(lambda: settled(page) and str(page.summary.cget("text")) == "201 to 400 of 450")
    driver.click(page.older)
    until(lambda: settled(page) and str(page.summary.cget("text")) == "401 to 450 of 450")
    assert page.older.instate(["disabled"])
    driver.click(page.newer)
    until(lambda: settled(page) and str(page.summary.cget("text")) == "201 to 400 of 450")


def test_something_new_appears_by_itself_and_the_choice_stays(
    page: HistoryPage, history: StageHistory, until: Until
) -> None:
    page.tree.selection_set("29")
    new = HistoryRow(id=99, when=NOW, who="admin", what="start", server="Production", subject=HOSTILE, outcome="done")
    history.rows.insert(0, new)
    page.on_event(Happened(when=NOW, who="admin", what="start", server="Production", subject="x"))
    until(lambda: settled(page) and page.tree.get_children()[0] == "99", "the new row")
    assert page.tree.selection() == ("29",)


def test_a_row_is_shown_in_full_and_safely(page: HistoryPage, shell: StageShell, until: Until) -> None:
    failed = next(iid for iid, row in page._rows.items() if row.outcome == "failed")
    page.tree.selection_set(failed)
    until(lambda: "VM_LACKS_FEATURE" in str(page.detail.cget("text")))
    messages: list[tuple[str, str]] = []
    shell.dialogs.message = lambda title, text: messages.append((title, text))
    page._open()
    assert "VM_LACKS_FEATURE" in messages[0][1]
    for row in page._rows.values():
        assert all(text.isprintable() for text in cells(row))
        assert "‮" not in full_text(row)


def test_the_export_writes_what_the_filters_ask_for(
    page: HistoryPage, history: StageHistory, shell: StageShell, tmp_path: Path, until: Until
) -> None:
    page.outcome.current(2)
    page._search_afresh()
    until(lambda: settled(page))
    page.export_to(tmp_path / "h.csv")
    until(lambda: bool(history.exported), "the export")
    until(lambda: ("status", "6 rows written to h.csv") in shell.asked)
    assert history.exported[0][2]["outcome"] == "failed"


def test_a_history_that_cannot_be_read_says_why(
    page: HistoryPage, history: StageHistory, monkeypatch: Any, until: Until
) -> None:
    def fail(*_args: Any, **_more: Any) -> list[HistoryRow]:
        raise LocalError("The history isn't open.")

    monkeypatch.setattr(history, "search", fail)
    page._search_afresh()
    until(lambda: "The history isn't open." in texts(page.widget))


def test_a_slow_answer_to_an_old_question_is_dropped(
    page: HistoryPage, history: StageHistory, monkeypatch: Any, until: Until
) -> None:
    gate, search = threading.Event(), history.search

    def slow_first(text: str = "", **more: Any) -> list[HistoryRow]:
        if text == "slow":
            gate.wait(10)
        return search(text, **more)

    monkeypatch.setattr(history, "search", slow_first)
    page.text.setvalue("slow")
    page._search_afresh()
    page.text.setvalue("")
    page._search_afresh()
    until(lambda: settled(page) and len(shown(page)) == 30)
    gate.set()
    page.shell.root.update()
    assert len(shown(page)) == 30


def test_times_are_counted_back_from_now() -> None:
    assert since("24", NOW) == NOW - dt.timedelta(days=1)
    assert since("", NOW) is None


def test_a_row_speaks_as_the_task_panel_does() -> None:
    row = HistoryRow(id=1, when=NOW, who=local_user(), what="power-off", server="s", subject="x", outcome="done")
    assert (cells(row)[0], cells(row)[3], cells(row)[4]) == ("Power off", "you", "Done")
    assert cells(replace(row, who="monitor", what="held"))[0] == "Snapshot held back"
    assert cells(replace(row, who="eve", what="someday"))[:1] == ("someday",)
    assert all(label[:1].isupper() for _, label in WHATS)


def test_a_tip_shows_what_a_row_has_no_room_for(page: HistoryPage) -> None:
    page.tree.column("what", width=40)
    page.tree.column("subject", width=400)
    text = clipped_cells(page.tree, "30", page.theme)
    assert what_words(page._rows["30"].what) in text.split("\n")
    page.tree.column("what", width=400)
    assert what_words(page._rows["30"].what) not in clipped_cells(page.tree, "30", page.theme).split("\n")
