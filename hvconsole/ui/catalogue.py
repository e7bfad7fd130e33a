"""What stands in which menu: the window's own commands beside those of the operations table. Tk thread only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from hvconsole.backends.base import Capability
from hvconsole.events import ConnectionState
from hvconsole.model import ObjectId, ServerId, Verb
from hvconsole.operation import Scope
from hvconsole.operations import operation
from hvconsole.ui.clipboard import copy_text
from hvconsole.ui.commands import Command, operation_commands, verbs
from hvconsole.ui.interfaces import ItemKind, Selection, Shell, Subject
from hvconsole.ui.menus import MenuEntry, Submenu
from hvconsole.ui.rows import Grouping

_ALWAYS_IN_CONTEXT = frozenset({Verb.START, Verb.SHUTDOWN, Verb.REBOOT, Verb.SUSPEND})
"""Power verbs that a VM's context menu shows even while they are grey; the others come and go."""

_EMERGENCY = (Verb.BECOME_MASTER, Verb.POINT_TO_MASTER)

GROUPING_LABELS = {
    Grouping.HOST: "VMs under hosts",
    Grouping.FOLDER: "VMs under folders",
    Grouping.RESOURCE_POOL: "VMs under resource pools",
}


class CatalogueOwner(Shell, Protocol):
    """What the commands do in the window."""

    def is_monitored(self, server_id: ServerId, vm_id: ObjectId) -> bool:
        """Whether this VM is ticked."""

    def quit(self) -> None:
        """Close the program."""

    def refresh(self, subjects: Sequence[Subject]) -> None:
        """Read the servers of these again (all, if there are none)."""

    def find(self) -> None:
        """Go to the search field."""

    def switch_mode(self) -> None:
        """Light to dark and back."""

    def cycle(self, step: int) -> None:
        """Move the keyboard: tree → tabs → tasks."""

    def turn_tab(self, step: int) -> None:
        """The next or previous tab."""

    def nth_tab(self, number: int) -> None:
        """The tab at this place, from 1."""

    def reconnect(self, subjects: Sequence[Subject]) -> None:
        """Connect these servers again."""

    def disconnect(self, subjects: Sequence[Subject]) -> None:
        """Log out of these servers."""

    def edit_server(self, subjects: Sequence[Subject]) -> None:
        """Change how the first of these servers is connected to."""

    def remove_servers(self, subjects: Sequence[Subject]) -> None:
        """Forget these servers."""

    def toggle_monitored(self, subjects: Sequence[Subject]) -> None:
        """Tick or untick these VMs."""

    def grouping(self) -> Grouping:
        """Under what the tree shows VMs."""

    def set_grouping(self, grouping: Grouping) -> None:
        """Show VMs under something else."""

    def tasks_shown(self) -> bool:
        """Whether the task panel is visible."""

    def toggle_tasks(self) -> None:
        """Show or hide the task panel."""

    def filter_entries(self) -> list[MenuEntry]:
        """The filter menu."""


class Catalogue:
    """All commands, and the menus made of them. ``selection`` answers what they act on at any moment."""

    def __init__(self, owner: CatalogueOwner, selection: Callable[[], Selection]) -> None:
        self._owner = owner
        self._selection = selection
        self.operations = operation_commands(
            lambda verb: owner.run(verb, selection()), lambda verb: owner.why_not(verb, selection())
        )
        self.own = {command.name: command for command in self._own_commands()}

    def __getitem__(self, name: str) -> Command:
        found = self.operations.get(str(name))  # a Verb has another hash than its value
        return found if found is not None else self.own[name]

    def all(self) -> list[Command]:
        """Every command, operations first."""
        return [*self.operations.values(), *self.own.values()]

    def subjects(self) -> tuple[Subject, ...]:
        """What the commands act on, looked up."""
        return self._selection().subjects(self._owner.services.connections)

    # ---- the window's own ------------------------------------------------------------------------------------

    def _own_commands(self) -> list[Command]:
        o = self._owner
        own = [
            Command(
                "connect",
                "Connect to server…",
                lambda: o.dialogs.connect(),
                icon="plug",
                shortcut="Control-Shift-N",
                help="Connect to a server",
                while_typing=True,
            ),
            Command("reconnect", "Reconnect", lambda: o.reconnect(self.subjects()), self._why_not_reconnect),
            Command("disconnect", "Disconnect", lambda: o.disconnect(self.subjects()), self._why_not_disconnect),
            Command("edit-server", "Edit connection…", lambda: o.edit_server(self.subjects()), self._why_no_server),
            Command(
                "remove-server", "Remove from list…", lambda: o.remove_servers(self.subjects()), self._why_no_server
            ),
            Command(
                "preferences",
                "Preferences…",
                lambda: o.dialogs.preferences(),
                icon="settings",
                shortcut="Control-comma",
                help="Preferences",
                while_typing=True,
            ),
            Command("quit", "Quit", o.quit, shortcut="Control-q", while_typing=True),
            Command(
                "refresh",
                "Refresh",
                lambda: o.refresh(self.subjects()),
                icon="refresh-cw",
                shortcut="F5",
                help="Refresh",
                while_typing=True,
            ),
            Command("find", "Find", o.find, icon="search", shortcut="Control-f", while_typing=True),
            Command(
                "mode",
                "Dark colours",
                o.switch_mode,
                icon="sun-moon",
                shortcut="Control-d",
                help="Light or dark",
                checked=lambda: o.theme.mode == "dark",
            ),
            Command("tasks", "Show tasks", o.toggle_tasks, icon="bell", shortcut="Control-t", checked=o.tasks_shown),
            Command("next-pane", "Next pane", lambda: o.cycle(1), shortcut="F6", while_typing=True),
            Command("previous-pane", "Previous pane", lambda: o.cycle(-1), shortcut="Shift-F6", while_typing=True),
            Command("next-tab", "Next tab", lambda: o.turn_tab(1), shortcut="Control-Tab", while_typing=True),
            Command(
                "previous-tab", "Previous tab", lambda: o.turn_tab(-1), shortcut="Control-Shift-Tab", while_typing=True
            ),
            Command(
                "monitor",
                "Monitor network",
                lambda: o.toggle_monitored(self._vms()),
                self._why_no_vm,
                icon="eye",
                shortcut="space",
                checked=self._all_monitored,
                bound_elsewhere=True,
            ),
            Command(
                "monitor-settings",
                "Monitor settings…",
                lambda: o.dialogs.monitor_settings([s for s in self.subjects() if s.vm is not None]),
                self._why_no_vm,
            ),
            Command("copy-name", "Copy name", self._copy_names, self._why_nothing, shortcut="Control-c"),
            Command("copy-address", "Copy address", self._copy_addresses, self._why_no_address),
            Command(
                "properties",
                "Properties",
                lambda: o.show_page("General"),
                self._why_nothing,
                shortcut="Alt-Return",
            ),
            Command("help", "Keys and help", lambda: o.dialogs.help(), shortcut="F1", while_typing=True),
            Command("about", "About hvconsole", lambda: o.dialogs.about()),
        ]
        own += [self._tab_command(number) for number in range(1, 10)]
        own += [self._grouping_command(grouping, label) for grouping, label in GROUPING_LABELS.items()]
        return own

    def _tab_command(self, number: int) -> Command:
        shortcut = f"Control-Key-{number}"
        return Command(
            f"tab-{number}", f"Tab {number}", lambda: self._owner.nth_tab(number), shortcut=shortcut, while_typing=True
        )

    def _grouping_command(self, grouping: Grouping, label: str) -> Command:
        return Command(
            f"group-{grouping.name.lower()}",
            label,
            lambda: self._owner.set_grouping(grouping),
            checked=lambda: self._owner.grouping() is grouping,
        )

    def _why_nothing(self) -> str | None:
        return None if self._selection().items else "Nothing is selected."

    def _vms(self) -> list[Subject]:
        return [s for s in self.subjects() if s.vm is not None and s.snapshot is None]

    def _why_no_vm(self) -> str | None:
        return None if self._vms() else "Select a VM first."

    def _all_monitored(self) -> bool:
        vms = self._vms()
        return bool(vms) and all(self._owner.is_monitored(s.item.server_id, s.vm.id) for s in vms if s.vm is not None)

    def _why_no_server(self) -> str | None:
        return None if self.subjects() else "Select a server first."

    def _why_not_reconnect(self) -> str | None:
        subjects = self.subjects()
        if not subjects:
            return "Select a server first."
        states = {s.connection.state for s in subjects}
        return "It is connected." if states <= {ConnectionState.CONNECTED, ConnectionState.CONNECTING} else None

    def _why_not_disconnect(self) -> str | None:
        subjects = self.subjects()
        if not subjects:
            return "Select a server first."
        return "It is disconnected." if all(s.connection.state is ConnectionState.CLOSED for s in subjects) else None

    def _copy_names(self) -> None:
        copy_text(self._owner.root, "\n".join(s.name for s in self.subjects()))
        self._owner.status("Name copied")

    def _addresses(self) -> list[str]:
        found: list[str] = []
        for subject in self.subjects():
            if subject.vm is not None:
                found += subject.vm.addresses[:1]
            elif subject.host is not None and subject.host.address:
                found.append(subject.host.address)
        return found

    def _why_no_address(self) -> str | None:
        return None if self._addresses() else "No address is known."

    def _copy_addresses(self) -> None:
        copy_text(self._owner.root, "\n".join(self._addresses()))
        self._owner.status("Address copied")

    # ---- menus -----------------------------------------------------------------------------------------------

    def _verbs(self, scope: Scope, *groups: str) -> list[MenuEntry]:
        return [self.operations[str(verb)] for verb in verbs(scope, *groups)]

    def file_menu(self) -> Sequence[MenuEntry]:
        """Servers and the program itself."""
        names = ("connect", "reconnect", "disconnect", "edit-server", "remove-server")
        return [*(self.own[n] for n in names), None, self.own["preferences"], None, self.own["quit"]]

    def view_menu(self) -> Sequence[MenuEntry]:
        """What is seen and how."""
        return [
            self.own["refresh"],
            self.own["find"],
            Submenu("Filter", self._owner.filter_entries),
            None,
            *(self.own[f"group-{grouping.name.lower()}"] for grouping in Grouping),
            None,
            self.own["tasks"],
            self.own["mode"],
            None,
            self.own["next-tab"],
            self.own["next-pane"],
        ]

    def server_menu(self) -> Sequence[MenuEntry]:
        """What is done to a whole server or pool."""
        entries = self._verbs(Scope.SERVER, "life")
        plain = [verb for verb in verbs(Scope.SERVER, "server") if verb not in _EMERGENCY]
        entries += [None, *(self.operations[str(verb)] for verb in plain)]
        entries += [None, *(self.operations[str(verb)] for verb in _EMERGENCY)]
        return entries

    def host_menu(self) -> Sequence[MenuEntry]:
        """What is done to hosts."""
        return [*self._verbs(Scope.HOST), None, self.own["copy-name"], self.own["copy-address"]]

    def vm_menu(self) -> Sequence[MenuEntry]:
        """What is done to VMs and their snapshots."""
        return [
            *self._verbs(Scope.VM, "power"),
            None,
            *self._verbs(Scope.VM, "snapshot"),
            *self._verbs(Scope.SNAPSHOT),
            None,
            *self._verbs(Scope.VM, "life"),
            None,
            self.own["copy-name"],
            self.own["copy-address"],
            self.own["properties"],
        ]

    def monitor_menu(self) -> Sequence[MenuEntry]:
        """Automatic snapshots."""
        return [self.own["monitor"], self.own["monitor-settings"]]

    def help_menu(self) -> Sequence[MenuEntry]:
        """Help."""
        return [self.own["help"], None, self.own["about"]]

    def context_menu(self, extra: Sequence[MenuEntry] = ()) -> Sequence[MenuEntry]:
        """What fits the selection; what the server can't do at all is left out."""
        selection = self._selection()
        subjects = self.subjects()
        capabilities = Capability.NONE
        for subject in subjects:
            capabilities |= subject.connection.capabilities

        def offered(scope: Scope, *groups: str, only: Callable[[Verb], bool] = lambda verb: True) -> list[MenuEntry]:
            wanted = [v for v in verbs(scope, *groups) if only(v)]
            return [self.operations[str(v)] for v in wanted if operation(v).needs in capabilities]

        def fits(verb: Verb) -> bool:
            return verb in _ALWAYS_IN_CONTEXT or self._owner.why_not(verb, selection) is None

        own, kind = self.own, selection.kind
        if kind is ItemKind.SNAPSHOT:
            return [*offered(Scope.SNAPSHOT), None, own["copy-name"]]
        if kind is ItemKind.HOST:
            return [*offered(Scope.HOST), None, own["copy-name"], own["copy-address"], own["properties"]]
        if kind in (ItemKind.SERVER, ItemKind.POOL):
            servers = ("reconnect", "disconnect", "edit-server", "remove-server")
            return [
                *offered(Scope.SERVER),
                None,
                *(own[n] for n in servers),
                None,
                own["refresh"],
                own["copy-name"],
            ]
        if kind is ItemKind.NONE:
            return [own["connect"]]
        return [
            *offered(Scope.VM, "power", only=fits),
            None,
            *offered(Scope.VM, "snapshot"),
            *offered(Scope.SNAPSHOT, only=fits),
            None,
            own["monitor"],
            own["monitor-settings"],
            *([None, *extra] if extra else []),
            None,
            *offered(Scope.VM, "life"),
            None,
            own["copy-name"],
            own["copy-address"],
            own["properties"],
        ]
