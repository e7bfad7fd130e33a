"""How VMs are monitored: address, preset, interval and the rest, for some VMs or as the default. Tk thread only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from tkinter import ttk

from hvconsole.errors import InvalidInput
from hvconsole.monitor.status import (
    HOLD_LABELS,
    MAX_PINGS,
    PRESETS,
    Hold,
    MonitorSettings,
    preset_of,
    with_preset,
)
from hvconsole.text import safe_text, unsendable
from hvconsole.ui.dialogs.fields import Choice, TextField
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.interfaces import Shell, Subject
from hvconsole.ui.tclvar import TclVar

OWN = ""
"""Key of the entry that stands for "none of the presets"."""
PRESET_WORDS = {
    "At once": "one lost round, then snapshot at once",
    "Balanced": "three lost rounds in a row",
    "Cautious": "six lost rounds in a row, every hold on",
    "Classic 2012": "one lost round, nothing holds it back, all are kept",
}
FAMILIES = (("any", "IPv4, else IPv6"), ("ipv4", "IPv4 only"), ("ipv6", "IPv6 only"))


def check_number(text: str, least: float, most: float, *, whole: bool) -> str | None:
    """What is wrong with a number as typed, or None."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return "Enter a number."
    if not math.isfinite(value):
        return "Enter a number."
    if whole and value != int(value):
        return "Enter a whole number."
    if not least <= value <= most:
        return f"From {least:g} to {most:g}."
    return None


def number(text: str) -> float:
    """A number as typed, with a comma or a point."""
    return float(text.replace(",", "."))


def preset_options(own: bool) -> list[tuple[str, str]]:
    """The presets with a word about each; with ``own`` an entry for anything else."""
    options = [(name, f"{name}: {PRESET_WORDS.get(name, '')}") for name in PRESETS]
    return [*options, (OWN, "Own setting")] if own else options


class MonitorFields:
    """The fields for ``MonitorSettings``; used for VMs and, without an address, for the defaults."""

    def __init__(
        self, form: FormDialog, settings: MonitorSettings, addresses: Sequence[str] | None, changed: Callable[[], None]
    ) -> None:
        """``addresses`` of the one VM to choose from, or None where no address can be chosen."""
        self._form = form
        self._base = settings
        self._changed = changed
        self.address: Choice | None = None
        self.other: TextField | None = None
        if addresses is not None:
            self._add_address(settings, addresses)
        preset = preset_of(settings)
        self.preset = form.choice_field("Snapshot after", preset_options(preset is None), preset or OWN, width=46)
        self.preset.widget.bind("<<ComboboxSelected>>", lambda _event: self._preset_chosen())
        self.lost_rounds = form.text_field(
            "Lost rounds in a row",
            str(settings.lost_rounds),
            check=lambda t: check_number(t, 1, 1000, whole=True),
            width=10,
        )
        self.interval = form.text_field(
            "A round every, seconds",
            f"{settings.interval_s:g}",
            check=lambda t: check_number(t, 0.2, 3600, whole=False),
            width=10,
        )
        self.pings = form.text_field(
            "Pings per round", str(settings.pings), check=lambda t: check_number(t, 1, MAX_PINGS, whole=True), width=10
        )
        self.timeout = form.text_field(
            "Time limit, seconds",
            f"{settings.timeout_s:g}",
            check=lambda t: check_number(t, 0.05, 60, whole=False),
            width=10,
        )
        self.keep = form.text_field(
            "Keep newest", str(settings.keep), check=lambda t: check_number(t, 0, 1000, whole=True), width=10
        )
        self.keep.set_hint("Automatic snapshots per VM; 0 = all. Others are never touched.")
        self.memory = form.tick_field("With the VM's memory", settings.memory)
        self.holds = _Holds(form, settings.holds, self._holds_changed)

    def _add_address(self, settings: MonitorSettings, addresses: Sequence[str]) -> None:
        known = tuple(dict.fromkeys(addresses))
        options = [("", "First that the guest reports"), *((a, safe_text(a, 80)) for a in known)]
        own = settings.address and settings.address not in known
        self.address = self._form.choice_field(
            "Address", [*options, ("?", "Another one…")], "?" if own else settings.address
        )
        self.other = self._form.text_field(
            "Other address",
            settings.address if own else "",
            check=lambda t: unsendable(t) if t.strip() else "Enter an address or a name.",
        )
        self._form.show_row(self.other, bool(own))
        self.address.widget.bind("<<ComboboxSelected>>", lambda _event: self._address_chosen())

    def _address_chosen(self) -> None:
        assert self.address is not None
        assert self.other is not None
        other = self.address.get() == "?"
        self._form.show_row(self.other, other)
        if other:
            self.other.entry.focus_set()
        self._changed()

    def _preset_chosen(self) -> None:
        name = self.preset.get()
        if name in PRESETS:
            preset = with_preset(self._base, name)
            self.lost_rounds.set(str(preset.lost_rounds))
            self.holds.set(preset.holds)
            if name == "Classic 2012":
                self.keep.set("0")
        self._changed()

    def _holds_changed(self) -> None:
        self.follow()
        self._changed()

    def follow(self) -> None:
        """Let the preset's name follow what the numbers and holds say."""
        try:
            name = preset_of(self.settings())
        except (InvalidInput, ValueError):
            return
        if (name or OWN) != self.preset.get():
            self.preset.fill(preset_options(name is None), name or OWN)

    def problem(self) -> str | None:
        """What is wrong with all of them together, or None."""
        try:
            self.settings()
        except InvalidInput as exc:
            return exc.user_text
        except ValueError:
            return "Enter numbers."
        return None

    def settings(self) -> MonitorSettings:
        """What the fields say. Raises ``InvalidInput``, or ``ValueError`` for what is no number."""
        address = self._base.address
        if self.address is not None and self.other is not None:
            chosen = self.address.get()
            address = self.other.get().strip() if chosen == "?" else chosen
        return replace(
            self._base,
            address=address,
            lost_rounds=int(number(self.lost_rounds.get())),
            interval_s=number(self.interval.get()),
            timeout_s=number(self.timeout.get()),
            pings=int(number(self.pings.get())),
            keep=int(number(self.keep.get())),
            memory=self.memory.get(),
            holds=self.holds.get(),
        )


class _Holds:
    """Ticks in two columns: what holds a snapshot back."""

    def __init__(self, form: FormDialog, chosen: frozenset[Hold], changed: Callable[[], None]) -> None:
        px = form.theme.px
        form.add_text("Hold a snapshot back while …", "Small.TLabel")
        grid = ttk.Frame(form.body)
        self._ticks: dict[Hold, TclVar] = {}
        self._boxes: list[ttk.Checkbutton] = []
        for place, (hold, label) in enumerate(HOLD_LABELS.items()):
            variable = TclVar(grid, "1" if hold in chosen else "0")
            self._ticks[hold] = variable
            row, column = divmod(place, 2)
            box = ttk.Checkbutton(grid, text=f" {label}", command=changed)
            variable.attach(box)
            box.grid(row=row, column=column, sticky="w", padx=(0, px(14)), pady=px(1))
            self._boxes.append(box)
        form.add_wide(grid, gap=2)

    def set(self, chosen: frozenset[Hold]) -> None:
        for hold, variable in self._ticks.items():
            variable.set("1" if hold in chosen else "0")

    def enable(self, enabled: bool) -> None:
        for box in self._boxes:
            box.state(["!disabled"] if enabled else ["disabled"])

    def get(self) -> frozenset[Hold]:
        return frozenset(hold for hold, variable in self._ticks.items() if variable.on)


class MonitorSettingsDialog(FormDialog):
    """For one VM or several: own settings, or the defaults of Preferences."""

    width = 600

    def __init__(self, shell: Shell, subjects: Sequence[Subject]) -> None:
        self._subjects = [s for s in subjects if s.vm is not None]
        one = len(self._subjects) == 1
        vm = self._subjects[0].vm
        assert vm is not None
        store = shell.services.settings
        server_id = self._subjects[0].connection.id
        name = f"“{safe_text(vm.name, 60)}”" if one else f"{len(self._subjects)} VMs"
        super().__init__(shell, "Monitoring", f"Monitoring of {name}", "", verb="Save")
        own = any(store.has_own_monitor_settings(s.connection.id, s.vm.id) for s in self._subjects if s.vm is not None)
        self.defaults = self.tick_field("As set in Preferences for all VMs", not own)
        self.defaults.widget.configure(command=self._defaults_toggled)
        settings = store.monitor_settings(server_id, vm.id)
        addresses = vm.addresses if one else None
        self.monitor = MonitorFields(self, settings, addresses, self.refresh)
        self._toggled_fields = [
            *(f for f in (self.monitor.address, self.monitor.other) if f is not None),
            self.monitor.preset,
            self.monitor.lost_rounds,
            self.monitor.interval,
            self.monitor.pings,
            self.monitor.timeout,
            self.monitor.keep,
            self.monitor.memory,
        ]
        self._defaults_toggled()

    def _defaults_toggled(self) -> None:
        for field in self._toggled_fields:
            field.enable(not self.defaults.get())
        self.monitor.holds.enable(not self.defaults.get())
        self.refresh()

    def refresh(self) -> None:
        """Also let the preset follow the numbers."""
        if hasattr(self, "monitor"):
            self.monitor.follow()
        super().refresh()

    def problem(self) -> str | None:
        """The numbers have to fit each other."""
        return None if self.defaults.get() else self.monitor.problem()

    def accept(self, name: str) -> bool:
        """Save; the running monitors follow."""
        store = self.shell.services.settings
        settings = None if self.defaults.get() else self.monitor.settings()
        several = len(self._subjects) > 1
        for subject in self._subjects:
            assert subject.vm is not None
            given = settings
            if settings is not None and several:
                # an address is one VM's own: the others keep theirs
                before = store.monitor_settings(subject.connection.id, subject.vm.id)
                given = replace(settings, address=before.address)
            store.set_monitor_settings(subject.connection.id, subject.vm.id, given)
            self.shell.services.watcher.settings_changed(subject.connection.id, subject.vm.id)
        return True
