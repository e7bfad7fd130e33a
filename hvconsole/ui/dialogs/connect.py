"""Connect to a server: address, user, password; check, retry and questions about certificates inside the dialog.

The dialog logs in once by itself to see that everything is right, and only then hands the server to the program: a
wrong password never leaves a half-made entry in the tree. Tk thread only; logging in and checking run elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hvconsole.backends import DEFAULT_USERS, open_hypervisor
from hvconsole.backends.base import Secret, Step
from hvconsole.credentials import NO_KEYRING
from hvconsole.doctor import examine
from hvconsole.errors import CertificateError, EmergencyMode, HostIsSlave, HvError, InvalidInput, Unreachable
from hvconsole.model import Inventory, ServerId
from hvconsole.profiles import (
    Address,
    ServerProfile,
    default_port,
    format_address,
    is_on,
)
from hvconsole.text import safe_lines, safe_text, unsendable
from hvconsole.ui.asking import Asker
from hvconsole.ui.dialogs.checking import Steps
from hvconsole.ui.dialogs.fields import Choice, Tick
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.dialogs.login import (
    Entered,
    LoggedIn,
    Opener,
    check_port,
    is_member,
    locally,
    log_in,
    moved_to,
    tell_steps,
    to_addresses,
    to_profile,
)
from hvconsole.ui.dialogs.server import emergency_text
from hvconsole.ui.interfaces import Shell
from hvconsole.ui.members import Member, members

CHECK = "Check connection"
PLATFORMS = (
    ("xenserver", "XenServer or XCP-ng"),
    ("hyperv", "Microsoft Hyper-V"),
    ("vsphere", "VMware ESXi or vCenter"),
)
ADDRESS_HINTS = {
    "xenserver": "The pool's master or a single host. Several addresses of one pool: separate them with “;”.",
    "hyperv": "A Windows host with Hyper-V, reached by WS-Management.",
    "vsphere": "A vCenter, or a single ESXi host.",
}
SCHEMES = (("https", "HTTPS (port 5986)"), ("http", "HTTP, every message sealed (port 5985)"))
AUTHS = (("ntlm", "NTLM"), ("kerberos", "Kerberos"), ("credssp", "CredSSP"), ("certificate", "Client certificate"))

OWN_OPTIONS = frozenset({"scheme", "auth", "emergency", "cert_pem", "cert_key_pem", "legacy_tls"})
"""Options that have a field here; others of a saved server are kept as they are."""


def check_file(text: str) -> str | None:
    """Why this can't be the name of a local file, or None."""
    return None if Path(text.strip()).is_file() else "Enter the path of a PEM file."


class ConnectDialog(FormDialog):
    """A new server, or a known one to edit and try again."""

    width = 500

    def __init__(
        self,
        shell: Shell,
        server_id: ServerId | None = None,
        error: HvError | None = None,
        *,
        emergency_at: Address | None = None,
        opener: Opener = open_hypervisor,
    ) -> None:
        services = shell.services
        connection = services.connections.get(server_id) if server_id is not None else None
        saved = {profile.id: profile for profile in services.settings.servers()}
        self._before = connection.profile if connection is not None else saved.get(server_id or ServerId(""))
        self._saved = saved
        self._opener = opener
        self._asker = Asker(shell.dispatcher)
        self._keyring: str | None = None
        self._inventory: Inventory | None = connection.inventory if connection is not None else None
        self._members: tuple[Member, ...] = ()
        self._answered: EmergencyMode | None = error if isinstance(error, EmergencyMode) else None
        name = safe_text(self._before.name, 60) if self._before is not None else ""
        super().__init__(
            shell,
            "Connect",
            f"Connect to “{name}”" if name else "Connect to a server",
            verb="Connect",
            more=(CHECK,),
        )
        self.subtext.pack_forget()
        self._build()
        self._steps = Steps(self)
        self._fill(self._before)
        if error is not None:
            self.fail(safe_lines(error.user_text, 600), safe_text(error.detail, 400))
        if emergency_at is not None or self._answered is not None:
            self._offer_emergency(emergency_at)
        self._asker.run("keyring", services.credentials.keyring_name, self._keyring_known)

    # ---- fields --------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.server: Choice | None = None
        if self._before is None and self._saved:
            options = [("", "A new one"), *((str(p.id), safe_text(p.name, 60)) for p in self._saved.values())]
            self.server = self.choice_field("Server", options)
            self.server.widget.bind("<<ComboboxSelected>>", lambda _event: self._server_chosen())
        self.platform = self.choice_field("Platform", PLATFORMS)
        self.platform.widget.bind("<<ComboboxSelected>>", lambda _event: self._platform_chosen())
        self.address = self.text_field("Address", check=self._check_address)
        self.port = self.text_field("Port", check=check_port, width=10)
        self.user = self.text_field("User", check=lambda text: unsendable(text))
        self.password = self.text_field("Password", secret=True, check=lambda text: None)
        self.scheme = self.choice_field("Transport", SCHEMES)
        self.auth = self.choice_field("Authentication", AUTHS)
        self.certificate = self.text_field("Certificate", check=check_file)
        self.certificate.set_hint("A PEM file that the host maps to an account.")
        self.key = self.text_field("Its key", check=check_file)
        for choice in (self.scheme, self.auth):
            choice.widget.bind("<<ComboboxSelected>>", lambda _event: self._scheme_chosen())
        self.name = self.text_field("Name", check=lambda text: unsendable(text))
        self.name.set_hint("What hvconsole calls it; empty = its address.")
        self.remember: Tick = self.tick_field("Remember the password", hint="Looking for a safe keyring…")
        self.at_start = self.tick_field("Connect when hvconsole starts", True)
        self.outdated = self.tick_field(
            "Allow outdated TLS", hint="Only for servers that know nothing newer: XenServer 6.5, ESXi 5.5 and older."
        )
        self.emergency = self.tick_field(
            "Emergency login to one host alone, this once",
            hint="For a pool member whose master is dead: shows what still works and offers the recoveries.",
        )
        self.emergency.widget.configure(command=self._emergency_ticked)
        self.member = self.choice_field("Host", ())
        self.focus_first(self.address.entry)

    def _fill(self, profile: ServerProfile | None) -> None:
        self._before = profile
        if profile is None:
            self.user.set(DEFAULT_USERS[self.platform.get()])
        else:
            self.platform.set(profile.platform)
            default = default_port(profile.platform, profile.options)
            ports = {port for _, port in profile.addresses}
            common = ports.pop() if len(ports) == 1 else default
            self.address.set("; ".join(format_address(host, port, common) for host, port in profile.addresses))
            self.port.set("" if common == default else str(common))
            self.user.set(profile.user)
            self.name.set(profile.name)
            self.remember.set(profile.remember_password)
            self.at_start.set(profile.connect_at_start)
            self.scheme.set(profile.options.get("scheme", "https"))
            self.auth.set(profile.options.get("auth", "ntlm"))
            self.certificate.set(profile.options.get("cert_pem", ""))
            self.key.set(profile.options.get("cert_key_pem", ""))
            self.outdated.set(is_on(profile.options, "legacy_tls"))
            self.focus_first(self.password.entry)
            if self.shell.services.credentials.remembered(profile.id) is not None:
                self.password.set_hint("Leave it empty to use the password that is known.")
        self._show_options()
        self.refresh()

    def _server_chosen(self) -> None:
        assert self.server is not None
        self._fill(self._saved.get(ServerId(self.server.get())))
        self.password.entry.focus_set()

    def _platform_chosen(self) -> None:
        if self.user.get().strip() in ("", *DEFAULT_USERS.values()):
            self.user.set(DEFAULT_USERS[self.platform.get()])
        self._show_options()
        self.address.show_problem()
        self.refresh()

    def _scheme_chosen(self) -> None:
        self._show_options()
        self.refresh()

    def _show_options(self) -> None:
        platform = self.platform.get()
        self.show_row(self.scheme, platform == "hyperv")
        self.show_row(self.auth, platform == "hyperv")
        for field in (self.certificate, self.key):
            self.show_row(field, self._by_certificate())
        self.show_row(self.outdated, platform != "hyperv")
        self.show_row(self.emergency, platform == "xenserver")
        self._show_members()
        self.address.set_hint(ADDRESS_HINTS[platform])
        self.port.set_hint(f"Empty = {default_port(platform, self._options())}.")

    # ---- emergency login -----------------------------------------------------------------------------------

    def _emergency_ticked(self) -> None:
        self._show_members()
        self.refresh()

    def _show_members(self) -> None:
        """The members that are known of this pool, while the login is to be one of an emergency."""
        before = self._before
        self._members = members(before, self._inventory, self._answered) if before is not None else ()
        typed = [("", "The address above")]
        self.member.fill([*((m.address[0], f"Emergency login to {m.text}") for m in self._members), *typed])
        wanted = self.platform.get() == "xenserver" and self.emergency.get()
        self.show_row(self.member, wanted and bool(self._members))

    def _offer_emergency(self, at: Address | None) -> None:
        self.emergency.set(True)
        self._show_members()
        if self._members:
            self.member.set(at[0] if at is not None else self._members[0].address[0])
        self.refresh()

    def emergency_at(self, profile: ServerProfile) -> Address | None:
        """Where an emergency login is wanted: the member that is chosen, or the address as typed. None = none is."""
        if profile.platform != "xenserver" or not self.emergency.get():
            return None
        chosen = self.member.get() if self._members else ""
        return next((m.address for m in self._members if m.address[0] == chosen), profile.addresses[0])

    def _keyring_known(self, answer: str | HvError) -> None:
        if self.closed:
            return
        if isinstance(answer, HvError):
            self.remember.set(False)
            self.remember.enable(False)
            text = answer.user_text if answer.user_text else NO_KEYRING
            self.remember.set_hint(safe_text(text, 200))
        else:
            self._keyring = answer
            self.remember.set_hint(f"In the {safe_text(answer, 60)}; otherwise until you quit.")

    def _options(self) -> dict[str, str]:
        platform = self.platform.get()
        before = self._before
        same = before is not None and before.platform == platform
        kept = {k: v for k, v in before.options.items() if k not in OWN_OPTIONS} if before is not None and same else {}
        if platform == "hyperv":
            files = {"cert_pem": self.certificate.get().strip(), "cert_key_pem": self.key.get().strip()}
            chosen = files if self._by_certificate() else {}
            return {**kept, "scheme": self.scheme.get(), "auth": self.auth.get(), **chosen}
        return {**kept, "legacy_tls": "yes"} if self.outdated.get() else kept

    def _by_certificate(self) -> bool:
        return self.platform.get() == "hyperv" and self.auth.get() == "certificate"

    def _check_address(self, text: str) -> str | None:
        if not text.strip():
            return "Enter the address of a server."
        try:
            to_addresses(text, 1)
        except InvalidInput as exc:
            return exc.user_text
        return None

    # ---- what was entered ----------------------------------------------------------------------------------

    def entered(self) -> Entered:
        """The fields as they stand."""
        return Entered(
            platform=self.platform.get(),
            addresses=self.address.get(),
            port=self.port.get(),
            user=self.user.get(),
            name=self.name.get(),
            remember=self.remember.get(),
            at_start=self.at_start.get(),
            options=self._options(),
        )

    def secret(self) -> Secret | None:
        """The password as typed, else the one that is known for this server."""
        typed = self.password.get()
        if typed:
            return Secret(password=typed)
        return self.shell.services.credentials.remembered(self._before.id) if self._before is not None else None

    def problem(self) -> str | None:
        """A password is needed, except with a client certificate."""
        if self._asker.waiting("login"):
            return "Connecting…"
        return None if self._by_certificate() or self.secret() is not None else "Enter the password."

    # ---- doing it ------------------------------------------------------------------------------------------

    def accept(self, name: str) -> bool:
        """Connect, or check; the dialog stays until logging in has worked."""
        try:
            profile = to_profile(self.entered(), self._before)
        except InvalidInput as exc:
            self.fail(exc.user_text)
            return False
        secret = self.secret() or Secret(password="")
        at = self.emergency_at(profile)
        if name == CHECK:
            self._check(locally(profile, at) if at is not None else profile, secret)
        else:
            self._log_in(profile, secret, at)
        return False

    def _log_in(self, profile: ServerProfile, secret: Secret, at: Address | None = None) -> None:
        services, opener = self.shell.services, self._opener
        self.fail("")
        self._steps.clear()
        self._steps.say("Logging in…")
        self._asker.run(
            "login",
            lambda: log_in(
                locally(profile, at) if at is not None else profile,
                secret,
                services.pins,
                services.clock,
                services.credentials,
                opener,
            ),
            lambda answer: self._logged_in(profile, secret, at, answer),
        )
        self.refresh()

    def _logged_in(
        self, profile: ServerProfile, secret: Secret, at: Address | None, answer: LoggedIn | HvError
    ) -> None:
        if self.closed:
            return
        self._steps.clear()
        self.refresh()
        if isinstance(answer, CertificateError):
            if self.shell.dialogs.certificate(profile.name, answer):
                self._pin_and(answer, lambda: self._log_in(profile, secret, at))
            return
        if isinstance(answer, HostIsSlave):
            self._ask_for_master(profile, secret, answer)
            return
        if isinstance(answer, HvError):
            self._refused(answer)
            return
        if answer.emergency is not None and not answer.emergency.in_emergency_mode:
            self.emergency.set(False)
            self._emergency_ticked()
            self.fail(emergency_text(answer.emergency))
            return
        self._keep(profile, secret, at)
        self._end(self.verb)
        if answer.keyring_trouble:
            self.shell.dialogs.message("Password not saved", answer.keyring_trouble)

    def _refused(self, error: HvError) -> None:
        hint = ""
        if isinstance(error, EmergencyMode):
            self._answered = error
            self._offer_emergency(None)
        elif isinstance(error, Unreachable) and self._members and not self.emergency.get():
            hint = " If the pool's master is dead, tick “Emergency login” to log in to another of its members."
        self.fail(safe_lines(error.user_text, 600) + hint, safe_text(error.detail, 400))
        self.password.entry.focus_set()
        self.password.entry.selection_range(0, "end")

    def _keep(self, profile: ServerProfile, secret: Secret, at: Address | None) -> None:
        """Save the server and connect. What was known of it stays in the tree until its inventory arrives."""
        services = self.shell.services
        before = services.connections.get(profile.id)
        services.settings.save_server(profile)
        cached = before.inventory if before is not None else None
        if at is None:
            services.connections.add(profile, secret, cached=cached)
        else:
            services.connections.add(profile, cached=cached).connect(secret, emergency_at=at)

    def _pin_and(self, error: CertificateError, then: Callable[[], None]) -> None:
        if error.presented is None:
            return
        try:
            self.shell.services.pins.accept(error.presented)
        except HvError as exc:
            self.fail(exc.user_text, exc.detail)
            return
        then()

    def _ask_for_master(self, profile: ServerProfile, secret: Secret, error: HostIsSlave) -> None:
        question = MasterDialog(self.shell, profile, error, seen=self._seen(profile, error.master_address))
        if question.run() is None:
            self.fail(safe_lines(error.user_text, 400))
            return
        try:
            moved = moved_to(profile, error.master_address)
        except InvalidInput as exc:
            self.fail(exc.user_text)
            return
        self.address.set(moved.address_text)
        self._log_in(moved, secret)

    def _seen(self, profile: ServerProfile, address: str) -> bool:
        """Whether hvconsole has met this host: as a member of the pool, a saved server, or by its certificate."""
        saved = {host for known in self._saved.values() for host, _port in known.addresses}
        pinned = self.shell.services.pins.pinned(address, profile.addresses[0][1]) is not None
        return pinned or address in saved or is_member(profile, address)

    def _check(self, profile: ServerProfile, secret: Secret) -> None:
        services, opener = self.shell.services, self._opener
        self.fail("")
        self._steps.clear()
        self._steps.say("Checking…")
        told = self._asker.teller("check", self._steps.add)
        self.button(CHECK).state(["disabled"])
        self._asker.run(
            "check",
            lambda: tell_steps(examine(profile, lambda: secret, services.pins, services.clock, opener), told),
            lambda answer: self._checked(profile, secret, answer),
        )

    def _checked(self, profile: ServerProfile, secret: Secret, answer: Step | HvError | None) -> None:
        if self.closed:
            return
        self.button(CHECK).state(["!disabled"])
        self._steps.say("")
        if isinstance(answer, HvError):
            self.fail(safe_lines(answer.user_text, 400), safe_text(answer.detail, 400))
        elif answer is not None and isinstance(answer.error, CertificateError) and answer.error.presented is not None:
            if self.shell.dialogs.certificate(profile.name, answer.error):
                self._pin_and(answer.error, lambda: self._check(profile, secret))

    def ended(self) -> None:
        """No answer is wanted any more."""
        self._asker.drop()


class MasterDialog(FormDialog):
    """The address belongs to a pool member: connect to the master that it names?"""

    def __init__(self, shell: Shell, profile: ServerProfile, error: HostIsSlave, *, seen: bool = False) -> None:
        master = safe_text(error.master_address, 80)
        member = is_member(profile, error.master_address)
        known = " That host was a member of this pool before." if member else " hvconsole has seen that host before."
        super().__init__(
            shell,
            "Pool member",
            f"{safe_text(profile.addresses[0][0], 80)} is a member of a pool",
            f"It says that the pool's master is {master}."
            + (known if seen or member else " hvconsole hasn't seen that host before.")
            + " Your password will be sent there after its certificate was checked.",
            verb=f"Connect to {safe_text(error.master_address, 40)}",
            icon="circle-help",
            icon_color="info",
        )
