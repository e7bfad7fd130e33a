"""Preferences: appearance, monitoring defaults, history, accepted certificates, saved servers. Tk thread only."""

from __future__ import annotations

from dataclasses import replace
from tkinter import ttk

from hvconsole.errors import HvError
from hvconsole.model import Certificate
from hvconsole.profiles import ServerProfile, format_address
from hvconsole.text import safe_text
from hvconsole.trust import format_fingerprint
from hvconsole.ui.asking import Asker
from hvconsole.ui.commands import sequences
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.dialogs.monitoring import MonitorFields, check_number
from hvconsole.ui.interfaces import Shell
from hvconsole.ui.listing import ListColumn, Listing
from hvconsole.ui.looks import PLATFORM_NAMES
from hvconsole.ui.megawidgets import notebook
from hvconsole.ui.tabs import one_stop
from hvconsole.ui.tclvar import TclVar
from hvconsole.ui.theme import system_mode
from hvconsole.ui.wording import local_time

TABS = ("Appearance", "Monitoring", "History", "Certificates", "Servers")
MODES = (("system", "As the system"), ("light", "Light"), ("dark", "Dark"))
SCALES = (("", "As the screen says"), *((str(s), f"{s * 100:g} %") for s in (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)))


class PreferencesDialog(FormDialog):
    """Tabs of settings; saved together. Forgetting a certificate or a server takes effect at once."""

    width = 600

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell, "Preferences", "Preferences", verb="Save")
        self._asker = Asker(shell.dispatcher)
        outer, row = self.body, self._row
        strip = ttk.Frame(outer)
        strip.grid(row=row, column=0, columnspan=2, sticky="ew")
        self._tab = TclVar(strip, TABS[0])
        self.theme.line(outer).grid(row=row + 1, column=0, columnspan=2, sticky="ew", pady=(0, self.theme.px(12)))
        self.pages = notebook(self.theme, outer)
        self.theme.paint(self.pages.component("hull"), background="chrome")
        self.pages.grid(row=row + 2, column=0, columnspan=2, sticky="nsew")
        self._tabs: dict[str, ttk.Radiobutton] = {}
        builders = (self._appearance, self._monitoring, self._history, self._certificates, self._servers)
        for name, build in zip(TABS, builders, strict=True):
            page = self.pages.add(name)
            self.theme.paint(page, background="chrome")
            tab = ttk.Radiobutton(
                strip,
                text=name,
                value=name,
                style="Dialog.Tab.TRadiobutton",
                command=lambda name=name: self.select(name),  # type: ignore[misc]
            )
            self._tab.attach(tab)
            tab.pack(side="left")
            tab.bind("<Right>", lambda _event: self._turn(1))
            tab.bind("<Left>", lambda _event: self._turn(-1))
            self._tabs[name] = tab
            # the form's methods build into its body: one tab after the other
            self.body, self._row = ttk.Frame(page), 0
            self.body.columnconfigure(1, weight=1)
            self.body.pack(fill="both", expand=True)
            build()
        self.body, self._row = outer, row + 3
        self.pages.setnaturalsize()
        one_stop(self._tabs, TABS[0])
        self.focus_first(self._tabs[TABS[0]])
        self.top.bind("<Control-Tab>", lambda _event: self._turn(1))
        for sequence in sequences("Control-Shift-Tab", str(self.top.tk.call("tk", "windowingsystem"))):
            self.top.bind(f"<{sequence}>", lambda _event: self._turn(-1))

    def select(self, tab: str) -> None:
        """Bring a tab to the front."""
        self._tab.set(tab)
        one_stop(self._tabs, tab)
        self.pages.selectpage(tab)

    def _turn(self, step: int) -> str:
        tab = TABS[(TABS.index(str(self.pages.getcurselection())) + step) % len(TABS)]
        self.select(tab)
        self._tabs[tab].focus_set()
        return "break"

    # ---- tabs ----------------------------------------------------------------------------------------------

    def _appearance(self) -> None:
        look = self.shell.services.settings.current.appearance
        self.mode = self.choice_field("Colours", MODES, look.mode, width=24)
        self.scale = self.choice_field("Size", SCALES, "" if look.scale is None else str(look.scale), width=24)
        self.scale.set_hint("From the next start on.")

    def _monitoring(self) -> None:
        self.add_text("For all VMs that have no settings of their own.", "Small.TLabel")
        settings = self.shell.services.settings.monitor_defaults()
        self.monitor = MonitorFields(self, settings, None, self.refresh)
        self.prefix = self.text_field("Name begins with", settings.prefix, check=_check_prefix, width=24)

    def _history(self) -> None:
        services = self.shell.services
        self.days = self.text_field(
            "Keep for, days",
            str(services.settings.current.history_days),
            check=lambda t: check_number(t, 1, 36500, whole=True),
            width=10,
        )
        path = getattr(services.history, "path", None)
        if path is not None:
            self.add_text(f"The file is {safe_text(str(path), 200)}", "Small.TLabel")

    def _certificates(self) -> None:
        self.add_text(
            "Certificates you accepted. A server whose certificate is forgotten asks again at the next connection.",
            "Small.TLabel",
        )
        self.certificates = Listing(
            self.theme,
            self.body,
            (
                ListColumn("address", "Address", 160),
                ListColumn("sha256", "SHA-256", 260, stretch=True),
                ListColumn("until", "Valid until", 120),
            ),
            rows=8,
            edge=True,
            nothing="No certificate has been accepted yet.",
        )
        self.add_wide(self.certificates.frame)
        self._pins: list[Certificate] = []
        self.forget_pin = self._list_button(self.certificates, "Forget certificate", self._forget_certificate)
        self._fill_certificates()

    def _servers(self) -> None:
        self.add_text("Saved servers. Passwords are only in the system's keyring, never here.", "Small.TLabel")
        self.servers = Listing(
            self.theme,
            self.body,
            (
                ListColumn("name", "Name", 180),
                ListColumn("platform", "Platform", 100),
                ListColumn("address", "Address", 160, stretch=True),
                ListColumn("user", "User", 100),
            ),
            rows=8,
            edge=True,
            nothing="No server is saved yet.",
        )
        self.add_wide(self.servers.frame)
        self._profiles: list[ServerProfile] = []
        self.forget_server_button = self._list_button(self.servers, "Forget server", self._forget_server)
        self._fill_servers()

    def _list_button(self, listing: Listing, text: str, command: object) -> ttk.Button:
        button = ttk.Button(self.body, text=text, command=command)  # type: ignore[arg-type]
        button.state(["disabled"])
        button.grid(row=self._row, column=0, sticky="w", pady=self.theme.px(6))
        self._row += 1

        def chosen(_event: object) -> None:
            button.state(["!disabled"] if listing.tree.selection() else ["disabled"])

        listing.tree.bind("<<TreeviewSelect>>", chosen)
        return button

    def _fill_certificates(self) -> None:
        self._pins = list(self.shell.services.pins.all())
        self.certificates.clear()
        for number, pin in enumerate(self._pins):
            self.certificates.insert(
                str(number),
                safe_text(format_address(pin.host, pin.port), 80),
                (format_fingerprint(pin.sha256), local_time(pin.not_after)),
            )
        self.forget_pin.state(["disabled"])

    def _fill_servers(self) -> None:
        self._profiles = list(self.shell.services.settings.servers())
        self.servers.clear()
        for number, profile in enumerate(self._profiles):
            self.servers.insert(
                str(number),
                safe_text(profile.name, 80),
                (
                    PLATFORM_NAMES.get(profile.platform, profile.platform),
                    safe_text(profile.address_text, 80),
                    safe_text(profile.user, 60),
                ),
            )
        self.forget_server_button.state(["disabled"])

    # ---- doing ---------------------------------------------------------------------------------------------

    def _forget_certificate(self) -> None:
        chosen = self.certificates.tree.selection()
        if not chosen:
            return
        pin = self._pins[int(chosen[0])]
        try:
            self.shell.services.pins.forget(pin.host, pin.port)
        except HvError as exc:
            self.fail(exc.user_text, exc.detail)
            return
        self._fill_certificates()

    def _forget_server(self) -> None:
        chosen = self.servers.tree.selection()
        if not chosen:
            return
        profile = self._profiles[int(chosen[0])]
        services = self.shell.services
        credentials = services.credentials
        services.connections.remove(profile.id)
        services.settings.remove_server(profile.id)
        self._asker.run("forget", lambda: credentials.forget(profile.id), self._forgotten)
        self._fill_servers()

    def _forgotten(self, answer: HvError | None) -> None:
        if not self.closed and isinstance(answer, HvError):
            self.fail(answer.user_text, answer.detail)

    def refresh(self) -> None:
        """Also let the preset follow the numbers."""
        if hasattr(self, "monitor"):
            self.monitor.follow()
        super().refresh()

    def problem(self) -> str | None:
        """The monitor's numbers have to fit each other."""
        return self.monitor.problem()

    def accept(self, name: str) -> bool:
        """Save everything."""
        services = self.shell.services
        store = services.settings
        look = store.current.appearance
        scale = float(self.scale.get()) if self.scale.get() else None
        store.change(
            appearance=look.model_copy(update={"mode": self.mode.get(), "scale": scale}),
            history_days=int(float(self.days.get())),
        )
        store.set_monitor_defaults(replace(self.monitor.settings(), prefix=self.prefix.get().strip()))
        services.watcher.defaults_changed()
        mode = self.mode.get()
        self.theme.set_mode(system_mode(self.shell.root) if mode == "system" else mode)
        return True

    def ended(self) -> None:
        """No answer is wanted any more."""
        self._asker.drop()


def _check_prefix(text: str) -> str | None:
    if not 1 <= len(text.strip()) <= 40:
        return "1 to 40 characters."
    return None if text.isprintable() else "Only characters that can be seen."
