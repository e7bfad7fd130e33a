"""The Monitor tab, its settings dialog, and Preferences."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hvconsole.errors import Unreachable
from hvconsole.events import MonitorChanged
from hvconsole.model import Certificate
from hvconsole.monitor.status import PRESETS, Hold, MonitorSettings, MonitorState, Round, RoundResult, VmKey
from hvconsole.ui.dialogs.monitoring import MonitorSettingsDialog, check_number
from hvconsole.ui.dialogs.preferences import TABS, PreferencesDialog
from hvconsole.ui.pages.monitor import MonitorPage, order_key, summary
from hvconsole.ui.pages.monitor import test_words as outcome_words
from hvconsole.ui.pages.rounds import beats, fired_words, rtt_words, setting_words, state_words
from tests.ui.contents.conftest import Driver, texts
from tests.ui.stage import (
    HOSTILE,
    NOW,
    SERVER,
    StageShell,
    oid,
    sample_statuses,
    select_vms,
    status,
    subjects,
)

Until = Callable[..., None]


@pytest.fixture
def page(shell: StageShell, root: tk.Tk) -> Iterator[MonitorPage]:
    made = MonitorPage(shell, root)
    made.widget.pack(fill="both", expand=True)
    yield made
    made.hide()


def row(page: MonitorPage, vm_id: str) -> dict[str, str]:
    iid = page._iids[VmKey(SERVER, oid(vm_id))]
    return {column: str(page.tree.set(iid, column)).strip() for column in page.tree["columns"]}


# ---- words --------------------------------------------------------------------------------------------------


def test_states_are_told_in_words_with_what_became_of_the_snapshot() -> None:
    known = {s.vm_name: s for s in sample_statuses()}
    assert state_words(known["mail-gw"]) == "Down, snapshot taken"
    assert state_words(known["db-primary"]) == "Answers"
    assert rtt_words(known["mail-gw"]) == "no reply"
    assert rtt_words(known["build-agent-3"]) == "—"
    assert setting_words(MonitorSettings()) == "At once · 5 s"
    assert setting_words(MonitorSettings(lost_rounds=4)) == "after 4 lost rounds · 5 s"


def test_how_often_the_setting_would_have_fired() -> None:
    down = next(s for s in sample_statuses() if s.state is MonitorState.DOWN)
    assert fired_words(down) == (
        "In 720 rounds (60 min) this setting would have fired 2 times; 1 × with 3 lost rounds, "
        "never with 6 lost rounds."
    )
    assert fired_words(replace(down, rounds_total=0)) == "No rounds yet."
    mute = replace(down, average_rtt_ms=None, last_rtt_ms=None)
    assert fired_words(mute) == "In 720 rounds (60 min) it has never answered: nothing fires before it does."


def test_rounds_become_beats() -> None:
    rounds = [
        Round(NOW, RoundResult.OK, (9.0, 11.0)),
        Round(NOW, RoundResult.LOST, (None, None)),
        Round(NOW, RoundResult.UNKNOWN, (5.0, None), "asleep"),
    ]
    assert [(b.dot.value, b.rtt_ms) for b in beats(rounds)] == [("ok", 9.0), ("lost", None), ("unknown", None)]


def test_the_test_buttons_outcome_is_one_sentence() -> None:
    assert outcome_words("web", Round(NOW, RoundResult.OK, (11.0, 12.0))) == (
        "Test of web: 2 of 2 pings came back in 11 ms and 12 ms."
    )
    assert outcome_words("web", Round(NOW, RoundResult.LOST, (None, None), "host unreachable")) == (
        "Test of web: none of 2 pings came back (host unreachable)."
    )
    assert outcome_words(HOSTILE, Unreachable("No address is known.")).isprintable()


# ---- the page -----------------------------------------------------------------------------------------------


def test_all_ticked_vms_are_listed_what_needs_attention_first(page: MonitorPage) -> None:
    page.show(select_vms("v1"))
    names = [page._keys[iid].vm_id for iid in page.tree.get_children()]
    assert names[0] == "v6"
    assert len(names) == 6
    assert row(page, "v6")["state"] == "Down, snapshot taken"
    assert row(page, "v6")["loss"] == "37 %"
    assert str(page.summary.cget("text")) == summary(sample_statuses())
    assert sorted(sample_statuses(), key=order_key)[0].vm_name == "mail-gw"


def test_the_selected_vm_is_drawn_large_with_its_story(page: MonitorPage, until: Until) -> None:
    page.show(select_vms("v6"))
    assert page.chosen() == [VmKey(SERVER, oid("v6"))]
    until(lambda: bool(page._large.winfo_ismapped()), "the large chart")
    shown = texts(page._large)
    assert "mail-gw" in shown
    assert any("this setting would have fired 2 times" in text for text in shown)
    until(lambda: bool(page.chart.canvas.find_all()), "the drawing")


def test_a_low_page_gives_its_room_to_the_list(page: MonitorPage, until: Until) -> None:
    page.widget.winfo_toplevel().geometry("560x700")
    page.show(select_vms("v6"))
    until(lambda: bool(page.chart.canvas.winfo_ismapped()))
    page.widget.winfo_toplevel().geometry("560x200")
    until(lambda: not page.chart.canvas.winfo_ismapped() and page.tree.winfo_height() > page.theme.px(26 * 2))
    words = page.large_words
    until(lambda: words.winfo_reqwidth() <= words.winfo_width(), "the words to break")
    page.widget.winfo_toplevel().geometry("560x700")
    until(lambda: bool(page.chart.canvas.winfo_ismapped()))


def test_news_are_drawn_with_the_next_beat(page: MonitorPage, shell: StageShell, until: Until) -> None:
    page.show(select_vms("v1"))
    watcher: Any = shell.services.watcher
    watcher.known[VmKey(SERVER, oid("v1"))] = status("v1", "web-frontend-01", MonitorState.SUSPECT, lost=1)
    page.on_event(MonitorChanged(SERVER, oid("v1")))
    until(lambda: row(page, "v1")["state"] == "Losing pings", "the next beat")
    del watcher.known[VmKey(SERVER, oid("v2"))]
    until(lambda: len(page.tree.get_children()) == 5, "the unticked VM to go")


def test_sparklines_are_drawn_for_rows_that_can_be_seen(page: MonitorPage, shell: StageShell, until: Until) -> None:
    watcher: Any = shell.services.watcher
    for n in range(300):
        watcher.known[VmKey(SERVER, oid(f"x{n}"))] = status(f"x{n}", f"vm-{n}")
    page.show(select_vms("v1"))
    until(lambda: len(page._photos) > 5, "some sparklines")
    assert len(page._photos) < 60
    assert len(page.tree.get_children()) == 306


def test_settings_test_and_stop_act_on_the_chosen_row(
    page: MonitorPage, shell: StageShell, driver: Driver, until: Until
) -> None:
    page.show(select_vms("v1"))
    asked: list[Any] = []
    shell.dialogs.monitor_settings = asked.append
    until(lambda: bool(page.test.winfo_ismapped()) and not page.test.instate(["disabled"]))
    driver.click(page.test)
    until(lambda: any("2 of 2 pings came back" in text for text in texts(page.widget)), "the outcome")
    driver.click(page.settings)
    until(lambda: len(asked) == 1)
    assert [s.vm.name for s in asked[0]] == ["web-frontend-01"]
    driver.click(page.stop)
    until(lambda: ("monitor", (oid("v1"),), False) in shell.asked)


def test_a_selected_vm_that_is_not_monitored_can_be(
    page: MonitorPage, shell: StageShell, driver: Driver, until: Until
) -> None:
    page.show(select_vms("v5"))
    until(lambda: bool(page.add.winfo_ismapped()))
    assert str(page.add.cget("text")) == "Monitor “legacy-erp”"
    driver.click(page.add)
    until(lambda: ("monitor", (oid("v5"),), True) in shell.asked)


def test_with_nothing_monitored_the_page_says_what_a_tick_does(
    page: MonitorPage, shell: StageShell, until: Until
) -> None:
    watcher: Any = shell.services.watcher
    watcher.known.clear()
    page.show(select_vms("v5"))
    until(lambda: bool(page._empty.frame.winfo_ismapped()))
    assert any(text.startswith("No VM is monitored.") for text in texts(page.widget))


# ---- settings of VMs ----------------------------------------------------------------------------------------


@pytest.fixture
def settings_of(shell: StageShell, until: Until) -> Iterator[Callable[..., MonitorSettingsDialog]]:
    made: list[MonitorSettingsDialog] = []

    def open_dialog(*ids: str) -> MonitorSettingsDialog:
        dialog = MonitorSettingsDialog(shell, subjects(shell.services, select_vms(*ids)))
        made.append(dialog)
        dialog.open()
        until(lambda: bool(dialog.top.winfo_viewable()))
        return dialog

    yield open_dialog
    for dialog in made:
        dialog.destroy()


def test_a_vm_gets_settings_of_its_own_and_the_monitor_hears_of_it(
    settings_of: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    dialog = settings_of("v1")
    assert dialog.monitor.preset.widget.instate(["disabled"])
    driver.click(dialog.defaults.widget, 10)
    until(lambda: not dialog.monitor.preset.widget.instate(["disabled"]))
    dialog.monitor.preset.set("Balanced")
    dialog.monitor._preset_chosen()
    dialog.monitor.interval.set("10")
    driver.click(dialog.button("Save"))
    until(lambda: dialog.closed)
    saved = shell.services.settings.monitor_settings(SERVER, oid("v1"))
    assert (saved.lost_rounds, saved.interval_s) == (3, 10)
    assert ("settings", SERVER, oid("v1")) in shell.services.watcher.told  # type: ignore[attr-defined]


def test_numbers_that_do_not_fit_each_other_keep_the_button_grey(settings_of: Any, until: Until) -> None:
    dialog = settings_of("v1")
    dialog.defaults.set(False)
    dialog._defaults_toggled()
    dialog.monitor.timeout.set("9")
    until(lambda: dialog.button("Save").instate(["disabled"]))
    dialog.monitor.timeout.set("0,5")
    until(lambda: not dialog.button("Save").instate(["disabled"]))
    dialog.monitor.lost_rounds.set("x")
    until(lambda: dialog.button("Save").instate(["disabled"]))


def test_the_presets_name_follows_the_numbers(settings_of: Any, until: Until) -> None:
    dialog = settings_of("v1")
    dialog.defaults.set(False)
    dialog._defaults_toggled()
    dialog.monitor.lost_rounds.set("3")
    until(lambda: dialog.monitor.preset.get() == "Balanced")
    dialog.monitor.lost_rounds.set("17")
    until(lambda: dialog.monitor.preset.get() == "")
    dialog.monitor.preset.set("Classic 2012")
    dialog.monitor._preset_chosen()
    assert dialog.monitor.settings().holds == frozenset()
    assert dialog.monitor.settings().keep == 0


def test_an_address_is_chosen_or_typed(settings_of: Any, shell: StageShell, driver: Driver, until: Until) -> None:
    dialog = settings_of("v1")
    dialog.defaults.set(False)
    dialog._defaults_toggled()
    dialog.monitor.address.set("?")
    dialog.monitor._address_chosen()
    until(lambda: bool(dialog.monitor.other.widget.winfo_ismapped()))
    assert dialog.button("Save").instate(["disabled"])
    dialog.monitor.other.set("web.example")
    driver.click(dialog.button("Save"))
    until(lambda: dialog.closed)
    assert shell.services.settings.monitor_settings(SERVER, oid("v1")).address == "web.example"


def test_several_vms_keep_their_own_addresses(
    settings_of: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    store = shell.services.settings
    store.set_monitor_settings(SERVER, oid("v1"), MonitorSettings(address="10.0.0.99"))
    dialog = settings_of("v1", "v2")
    assert dialog.monitor.address is None
    dialog.monitor.lost_rounds.set("6")
    driver.click(dialog.button("Save"))
    until(lambda: dialog.closed)
    assert store.monitor_settings(SERVER, oid("v1")).address == "10.0.0.99"
    assert store.monitor_settings(SERVER, oid("v2")).address == ""
    assert store.monitor_settings(SERVER, oid("v2")).lost_rounds == 6


def test_numbers_are_read_with_comma_or_point() -> None:
    assert check_number("0,5", 0.1, 1, whole=False) is None
    assert check_number("1.5", 1, 9, whole=True)
    assert check_number("", 1, 9, whole=True)
    assert check_number("nan", 1, 9, whole=True)
    assert check_number("1e999", 1, 9, whole=True)
    assert check_number("10", 1, 9, whole=True) == "From 1 to 9."


# ---- Preferences --------------------------------------------------------------------------------------------


@pytest.fixture
def preferences(shell: StageShell, until: Until) -> Iterator[PreferencesDialog]:
    connection = shell.services.connections.get(SERVER)
    assert connection is not None
    shell.services.settings.save_server(connection.profile)
    shell.services.pins.accept(Certificate(host="10.20.1.11", port=443, sha256="ab" * 32, not_after=NOW))
    dialog = PreferencesDialog(shell)
    dialog.open()
    until(lambda: bool(dialog.top.winfo_viewable()))
    yield dialog
    dialog.destroy()


def test_tabs_are_turned_with_the_pointer(preferences: PreferencesDialog, driver: Driver, until: Until) -> None:
    tabs = [w for w in _all(preferences.top) if w.winfo_class() == "TRadiobutton"]
    assert [str(tab.cget("text")) for tab in tabs] == list(TABS)
    driver.click(tabs[3])
    until(lambda: preferences.pages.getcurselection() == "Certificates")


def _all(widget: tk.Misc) -> Iterator[Any]:
    for child in widget.winfo_children():
        yield child
        yield from _all(child)


def test_tabs_are_turned_with_keys(preferences: PreferencesDialog, driver: Driver, until: Until) -> None:
    def shown() -> str:
        return str(preferences.pages.getcurselection())

    first = preferences._tabs["Appearance"]
    until(lambda: str(first.tk.call("focus", "-lastfor", preferences.top)) == str(first))
    driver.click(first)  # the pointer decides which window has the keyboard
    until(lambda: preferences.top.focus_get() is first)
    driver.key("Right")
    until(lambda: shown() == "Monitoring")
    driver.key("Tab")
    until(lambda: preferences.top.focus_get() not in preferences._tabs.values(), "the strip to be one stop")
    assert preferences.top.focus_get() is preferences.monitor.preset.widget
    preferences.prefix.entry.focus_set()
    driver.key("ctrl+Tab")
    until(lambda: shown() == "History")
    driver.key("ctrl+shift+Tab")
    until(lambda: shown() == "Monitoring")
    driver.key("Left", "Left")
    until(lambda: shown() == TABS[-1])
    assert preferences.top.focus_get() is preferences._tabs[TABS[-1]]


def test_defaults_and_retention_are_saved_and_the_monitor_hears_of_it(
    preferences: PreferencesDialog, shell: StageShell, driver: Driver, until: Until
) -> None:
    preferences.monitor.preset.set("Cautious")
    preferences.monitor._preset_chosen()
    preferences.prefix.set("Lost")
    preferences.days.set("30")
    preferences.mode.set("dark")
    driver.click(preferences.button("Save"))
    until(lambda: preferences.closed)
    store = shell.services.settings
    assert store.monitor_defaults().lost_rounds == PRESETS["Cautious"].lost_rounds
    assert Hold.COMMON_CAUSE in store.monitor_defaults().holds
    assert store.monitor_defaults().prefix == "Lost"
    assert store.current.history_days == 30
    assert store.current.appearance.mode == "dark"
    assert shell.theme.mode == "dark"
    assert ("defaults",) in shell.services.watcher.told  # type: ignore[attr-defined]


def test_a_certificate_is_forgotten(
    preferences: PreferencesDialog, shell: StageShell, driver: Driver, until: Until
) -> None:
    preferences.select("Certificates")
    until(lambda: bool(preferences.forget_pin.winfo_ismapped()))
    assert preferences.forget_pin.instate(["disabled"])
    preferences.certificates.tree.selection_set("0")
    until(lambda: not preferences.forget_pin.instate(["disabled"]))
    driver.click(preferences.forget_pin)
    until(lambda: shell.services.pins.all() == ())


def test_a_saved_server_is_forgotten_with_its_connection(
    preferences: PreferencesDialog, shell: StageShell, driver: Driver, until: Until
) -> None:
    preferences.select("Servers")
    preferences.servers.tree.selection_set("0")
    until(lambda: bool(preferences.forget_server_button.winfo_ismapped()))
    until(lambda: not preferences.forget_server_button.instate(["disabled"]))
    driver.click(preferences.forget_server_button)
    until(lambda: shell.services.connections.get(SERVER) is None)
    assert shell.services.settings.servers() == ()
    until(lambda: bool(preferences.servers._nothing.winfo_ismapped()), "a word that none is saved")
    until(lambda: not preferences._asker.waiting("forget"))


def test_a_wrong_number_on_another_tab_keeps_the_button_grey(preferences: PreferencesDialog, until: Until) -> None:
    preferences.days.set("0")
    until(lambda: preferences.button("Save").instate(["disabled"]))
