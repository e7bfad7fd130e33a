"""Create VMs: the fields are those that the server understands; several at once with a counter. Tk thread only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from tkinter import ttk

from hvconsole.backends.base import CreateVm, CreationChoices
from hvconsole.errors import HvError
from hvconsole.model import Inventory, ObjectId, VmKind
from hvconsole.operation import MOST_AT_ONCE, numbered
from hvconsole.text import safe_text
from hvconsole.ui.asking import Asker
from hvconsole.ui.columns import natural_key
from hvconsole.ui.dialogs.fields import Choice, Lines, TextField, Tick
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.dialogs.names import storage_options
from hvconsole.ui.dialogs.snapshot import check_name, check_text
from hvconsole.ui.interfaces import Shell, Subject

GIB = 1024**3


def parse_gib(text: str) -> int | None:
    """ "8", "1.5" or "512 MiB" → bytes; None where it can't be read."""
    match = re.fullmatch(r"\s*(\d{1,6}(?:[.,]\d{1,3})?)\s*(m|mib|mb|g|gib|gb|t|tib|tb)?\s*", text, re.IGNORECASE)
    if match is None:
        return None
    unit = (match[2] or "g").lower()[0]
    factor = {"m": 1024**2, "g": GIB, "t": 1024**4}[unit]
    return int(float(match[1].replace(",", ".")) * factor)


def check_size(text: str, least: int, most: int = 64 * 1024**4) -> str | None:
    """What is wrong with a size as typed, or None; empty is fine (the template decides)."""
    if not text.strip():
        return None
    size = parse_gib(text)
    if size is None:
        return "Enter a size in GiB, for example 8 or 1.5 or 512 MiB."
    if not least <= size <= most:
        return "That is too small." if size < least else "That is too large."
    return None


def check_count(text: str, most: int) -> str | None:
    """What is wrong with a number from 1 to ``most`` as typed, or None; empty is fine."""
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and 1 <= int(text) <= most):
        return f"Enter a number from 1 to {most}."
    return None


def template_options(inventory: Inventory) -> list[tuple[str, str]]:
    """Templates: own ones first, then those that came with the server."""
    found = [vm for vm in inventory.vms.values() if vm.kind in (VmKind.TEMPLATE, VmKind.DEFAULT_TEMPLATE)]
    found.sort(key=lambda vm: (vm.kind is VmKind.DEFAULT_TEMPLATE, natural_key(vm.name)))
    return [(str(vm.id), safe_text(vm.name, 80)) for vm in found]


class CreateDialog(FormDialog):
    """Asks the server what can be chosen, then shows the fields for it. ``specs`` holds the result."""

    def __init__(self, shell: Shell, subject: Subject) -> None:
        connection = subject.connection
        super().__init__(
            shell, "New VM", f"New VM on “{safe_text(connection.name, 60)}”", "", verb="Create", cancel="Cancel"
        )
        self._connection = connection
        self._host = subject.host
        self._choices: CreationChoices | None = None
        self._asker = Asker(shell.dispatcher)
        self._text: dict[str, TextField] = {}
        self._pick: dict[str, Choice] = {}
        self._tick: dict[str, Tick] = {}
        self._description: Lines | None = None
        self.how_many: TextField | None = None
        self.specs: tuple[CreateVm, ...] = ()
        self.waiting = ttk.Label(self.body, text="Asking the server what can be chosen…", style="Muted.TLabel")
        self.add_wide(self.waiting)
        host_id = self._host.id if self._host is not None else None
        self._asker.ask("choices", connection, lambda hv: hv.creation_choices(host_id), self._answered)

    def _answered(self, answer: CreationChoices | HvError) -> None:
        if self.closed:
            return
        self.waiting.grid_remove()
        if isinstance(answer, HvError):
            self.fail(answer.user_text, safe_text(answer.detail, 400))
            return
        self._build(answer, answer.fields or frozenset({"name"}))
        self._choices = answer
        self.refresh()
        if self._focus is not None:
            self._focus.focus_set()

    def _build(self, choices: CreationChoices, known: frozenset[str]) -> None:
        inventory = self._connection.inventory
        assert inventory is not None
        self._text["name"] = self.text_field("Name", "", check=check_name)
        if "template_id" in known:
            options = template_options(inventory)
            if "guest_os" in known:
                options = [("", "No template"), *options]
            self._pick["template_id"] = self.choice_field("Template", options)
        if "guest_os" in known and choices.guest_oses:
            self._pick["guest_os"] = self.choice_field("Guest system", _safe(choices.guest_oses))
        if "generation" in known and choices.generations:
            generations = [(str(g), f"Generation {g}") for g in choices.generations]
            self._pick["generation"] = self.choice_field("Generation", generations)
        templated = "template_id" in known and "guest_os" not in known
        most = choices.max_vcpus or 512
        if "vcpus" in known:
            self._text["vcpus"] = self.text_field(
                "Virtual CPUs", "" if templated else "2", check=lambda t: check_count(t, most), width=12
            )
        if "memory_bytes" in known:
            self._text["memory_bytes"] = self.text_field(
                "Memory, GiB", "" if templated else "4", check=lambda t: check_size(t, 16 * 1024**2), width=12
            )
        if "disk_bytes" in known:
            self._text["disk_bytes"] = self.text_field(
                "Disk, GiB", "" if templated else "20", check=lambda t: check_size(t, 1024**2), width=12
            )
        if templated:
            self._text["vcpus" if "vcpus" in known else "name"].set_hint("Empty = as in the template.")
        if "disk_thin" in known:
            self._tick["disk_thin"] = self.tick_field("Thin: take space only when it is used", True)
        if "existing_disk" in known:
            self._text["existing_disk"] = self.text_field("Existing disk", "", check=check_text)
            self._text["existing_disk"].set_hint("Path of a disk on the host to use instead of a new one.")
        if "storage_id" in known:
            first = ("", "As in the template") if templated else None
            default = next((str(p.default_storage_id) for p in inventory.pools.values() if p.default_storage_id), "")
            self._pick["storage_id"] = self.choice_field(
                "Storage", storage_options(inventory.storages.values(), first), "" if templated else default
            )
        if "network_id" in known:
            networks = sorted((str(n.id), safe_text(n.name, 80)) for n in inventory.networks.values())
            networks.sort(key=lambda option: natural_key(option[1]))
            first_network = ("", "As in the template" if templated else "None")
            self._pick["network_id"] = self.choice_field("Network", [first_network, *networks])
        if "nic_type" in known and choices.nic_types:
            self._pick["nic_type"] = self.choice_field("Network card", _safe(choices.nic_types))
        if "iso" in known and choices.isos:
            self._pick["iso"] = self.choice_field("CD", [("", "Empty"), *_safe(choices.isos)])
        if "host_id" in known and len(inventory.hosts) > 1:
            hosts = sorted(((str(h.id), safe_text(h.name, 60)) for h in inventory.hosts.values()), key=lambda h: h[1])
            chosen = str(self._host.id) if self._host is not None else ""
            self._pick["host_id"] = self.choice_field("Host", [("", "Any"), *hosts], chosen)
        if "description" in known:
            self._description = self.lines_field("Description", height=2)
        self.how_many = self.text_field("How many", "1", check=lambda t: check_count(t, MOST_AT_ONCE), width=12)
        self.how_many.set_hint("Several get a number: web-# becomes web-01, web-02 and so on.")
        if "start" in known:
            self._tick["start"] = self.tick_field("Start when created")

    def problem(self) -> str | None:
        """Nothing can be created before the server has answered."""
        if self._choices is None:
            return "The server hasn't answered yet."
        if self._description is not None:
            return check_text(self._description.get())
        return None

    def accept(self, name: str) -> bool:
        """Put the specs together."""
        self.specs = numbered(self._spec(), int(self.how_many.get() or 1) if self.how_many is not None else 1)
        return True

    def _spec(self) -> CreateVm:
        def text(key: str) -> str:
            return self._text[key].get().strip() if key in self._text else ""

        def pick(key: str) -> str:
            return self._pick[key].get() if key in self._pick else ""

        def an_id(key: str) -> ObjectId | None:
            return ObjectId(pick(key)) if pick(key) else None

        return CreateVm(
            name=text("name"),
            description=self._description.get().strip() if self._description is not None else "",
            template_id=an_id("template_id"),
            guest_os=pick("guest_os"),
            vcpus=int(text("vcpus")) if text("vcpus") else None,
            memory_bytes=parse_gib(text("memory_bytes")) if text("memory_bytes") else None,
            disk_bytes=parse_gib(text("disk_bytes")) if text("disk_bytes") and not text("existing_disk") else None,
            disk_thin=self._tick["disk_thin"].get() if "disk_thin" in self._tick else True,
            existing_disk=text("existing_disk"),
            storage_id=an_id("storage_id"),
            network_id=an_id("network_id"),
            nic_type=pick("nic_type"),
            host_id=an_id("host_id"),
            generation=int(pick("generation")) if pick("generation") else None,
            iso=pick("iso"),
            start=self._tick["start"].get() if "start" in self._tick else False,
        )

    def ended(self) -> None:
        """No answer is wanted any more."""
        self._asker.drop()


def _safe(options: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(key, safe_text(text, 100)) for key, text in options]
