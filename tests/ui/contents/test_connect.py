"""ui/dialogs/connect.py: typing, checking, certificates, pool members, retrying, passwords."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hvconsole.backends.base import Secret, Step
from hvconsole.credentials import Credentials
from hvconsole.errors import AuthError, CertificateError, HostIsSlave, InvalidInput
from hvconsole.model import Certificate
from hvconsole.profiles import ServerProfile
from hvconsole.ui.dialogs.connect import CHECK, ConnectDialog
from hvconsole.ui.dialogs.login import Entered, check_port, moved_to, to_profile
from tests.ui.contents.conftest import Driver, press_when_open, texts
from tests.ui.stage import SERVER, MemoryHypervisor, StageShell, sample_inventory

Until = Callable[..., None]
ENTERED = Entered(platform="xenserver", addresses="10.0.0.1; pool2.example:8443", port="", user="")


class Server:
    """Answers logins one after the other with what a test wants."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.targets: list[Any] = []
        self.secrets: list[Secret] = []
        self.made: list[MemoryHypervisor] = []

    def __call__(self, target: Any, secret: Secret, trust: Any, clock: Any) -> MemoryHypervisor:
        self.targets.append(target)
        self.secrets.append(secret)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        hypervisor = MemoryHypervisor(sample_inventory())
        self.made.append(hypervisor)
        return hypervisor


class Answers:
    """Dialogs that answer from a list."""

    def __init__(self, certificate: bool = True) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._certificate = certificate

    def certificate(self, name: str, error: CertificateError) -> bool:
        self.asked.append(("certificate", name, error.reason))
        return self._certificate

    def message(self, title: str, text: str, detail: str = "") -> None:
        self.asked.append(("message", title, text))


@pytest.fixture
def connect(shell: StageShell, until: Until) -> Iterator[Callable[..., ConnectDialog]]:
    made: list[ConnectDialog] = []

    def open_dialog(*args: Any, **kw: Any) -> ConnectDialog:
        dialog = ConnectDialog(shell, *args, **kw)
        made.append(dialog)
        dialog.open()
        until(lambda: bool(dialog.top.winfo_viewable()), "the dialog")
        until(lambda: not dialog._asker.waiting("keyring"), "the keyring's answer")
        return dialog

    yield open_dialog
    for dialog in made:
        dialog.destroy()


# ---- what is typed ------------------------------------------------------------------------------------------


def test_several_addresses_ports_and_presets() -> None:
    profile = to_profile(ENTERED)
    assert profile.addresses == (("10.0.0.1", 443), ("pool2.example", 8443))
    assert (profile.user, profile.name) == ("root", "10.0.0.1")
    assert to_profile(replace(ENTERED, port="8000")).addresses[0] == ("10.0.0.1", 8000)
    assert to_profile(replace(ENTERED, addresses="[fe80::1]:99; ::2")).addresses == (("fe80::1", 99), ("::2", 443))
    hyperv = replace(ENTERED, platform="hyperv", addresses="h", options={"scheme": "http"})
    assert to_profile(hyperv).addresses == (("h", 5985),)


@pytest.mark.parametrize("bad", ["", " ; ", "user:pw@host", "a b", "host:99999"])
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput):
        to_profile(replace(ENTERED, addresses=bad))
    assert [check_port(text) is None for text in ("0", "x", "", "443")] == [False, False, True, True]


def test_editing_keeps_the_id_and_what_was_learned() -> None:
    before = replace(to_profile(ENTERED), known_members=("10.0.0.9",))
    after = to_profile(replace(ENTERED, name="renamed"), before)
    assert (after.id, after.known_members, after.name) == (before.id, ("10.0.0.9",), "renamed")


def test_a_member_can_send_us_to_another_host_but_not_to_another_port() -> None:
    profile = to_profile(ENTERED)
    assert moved_to(profile, "10.0.0.7").addresses[0] == ("10.0.0.7", 443)
    for bad in ("10.0.0.7:22", "user@10.0.0.7", "x" * 10_000, ""):
        with pytest.raises(InvalidInput):
            moved_to(profile, bad)


# ---- the dialog ---------------------------------------------------------------------------------------------


def test_a_new_server_is_connected_and_saved(connect: Any, shell: StageShell, driver: Driver, until: Until) -> None:
    server = Server()
    dialog = connect(opener=server)
    assert dialog.button("Connect").instate(["disabled"])
    dialog.address.entry.focus_force()
    driver.type("127.0.0.9")
    dialog.password.entry.focus_force()
    driver.type("s3cret")
    until(lambda: not dialog.button("Connect").instate(["disabled"]))
    driver.click(dialog.button("Connect"))
    until(lambda: dialog.closed, "the login")
    saved = [p for p in shell.services.settings.servers() if p.name == "127.0.0.9"]
    assert len(saved) == 1
    assert (saved[0].user, saved[0].platform) == ("root", "xenserver")
    assert shell.services.connections.get(saved[0].id) is not None
    assert server.secrets == [Secret(password="s3cret")]
    assert server.made[0].closed.is_set(), "the trial login is ended"
    assert shell.services.credentials.remembered(saved[0].id) == Secret(password="s3cret")


def test_a_wrong_password_stays_in_the_dialog_with_the_servers_words(
    connect: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    server = Server(AuthError("The server refused this name and password.", "SESSION_AUTHENTICATION_FAILED"))
    dialog = connect(opener=server)
    dialog.address.set("127.0.0.9")
    dialog.password.set("wrong")
    driver.click(dialog.button("Connect"))
    until(lambda: "The server refused this name and password." in texts(dialog.top), "the error")
    assert "SESSION_AUTHENTICATION_FAILED" in texts(dialog.top)
    assert not dialog.closed
    assert len(shell.services.connections.all()) == 1, "nothing half-made in the tree"
    dialog.password.set("right")
    driver.click(dialog.button("Connect"))
    until(lambda: dialog.closed)


def certificate_error(reason: str = "unknown") -> CertificateError:
    presented = Certificate(host="127.0.0.9", port=443, sha256="ab" * 32)
    return CertificateError("?", reason=reason, presented=presented)


def test_a_first_certificate_is_asked_about_and_pinned(
    connect: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    shell.dialogs = Answers()
    server = Server(certificate_error())
    dialog = connect(opener=server)
    dialog.address.set("127.0.0.9")
    dialog.password.set("x")
    driver.click(dialog.button("Connect"))
    until(lambda: dialog.closed, "the second login")
    assert shell.dialogs.asked == [("certificate", "127.0.0.9", "unknown")]
    pinned = shell.services.pins.pinned("127.0.0.9", 443)
    assert pinned is not None
    assert pinned.sha256 == "ab" * 32


def test_a_refused_certificate_ends_the_attempt(connect: Any, shell: StageShell, driver: Driver, until: Until) -> None:
    shell.dialogs = Answers(certificate=False)
    server = Server(certificate_error("changed"))
    dialog = connect(opener=server)
    dialog.address.set("127.0.0.9")
    dialog.password.set("x")
    driver.click(dialog.button("Connect"))
    until(lambda: bool(shell.dialogs.asked))
    until(lambda: not dialog.button("Connect").instate(["disabled"]))
    assert len(server.targets) == 1
    assert shell.services.pins.pinned("127.0.0.9", 443) is None


def test_a_pool_member_leads_to_its_master_after_a_question(
    connect: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    server = Server(HostIsSlave("This is a pool member.", master_address="127.0.0.8"))
    dialog = connect(opener=server)
    dialog.address.set("127.0.0.9")
    dialog.password.set("x")
    press_when_open(shell.root, "Connect to 127.0.0.8")
    driver.click(dialog.button("Connect"))
    until(lambda: dialog.closed, "the login at the master")
    assert server.targets[1].addresses == (("127.0.0.8", 443), ("127.0.0.9", 443))


def test_checking_shows_each_step_and_stops_at_the_first_that_fails(connect: Any, driver: Driver, until: Until) -> None:
    dialog = connect(opener=Server())
    dialog.address.set("127.0.0.9:1")
    dialog.password.set("x")
    driver.click(dialog.button(CHECK))
    until(lambda: [step.ok for step in dialog._steps.shown] == [True, False], "the steps", 20)
    until(lambda: not dialog.button(CHECK).instate(["disabled"]), "the end")
    shown: list[Step] = dialog._steps.shown
    assert [step.name for step in shown] == ["dns", "tcp"]
    assert shown[1].remedy in texts(dialog.top)
    assert not dialog.closed


def test_a_known_server_is_edited_with_its_password_known(
    connect: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    shell.services.credentials.remember(SERVER, Secret(password="known"))
    server = Server()
    dialog = connect(SERVER, AuthError("The session ended."), opener=server)
    assert "The session ended." in texts(dialog.top)
    assert (dialog.address.get(), dialog.name.get()) == ("10.20.1.11", "Production")
    assert not dialog.button("Connect").instate(["disabled"])
    driver.click(dialog.button("Connect"))
    until(lambda: dialog.closed)
    assert server.secrets == [Secret(password="known")]
    assert shell.services.settings.servers()[0].id == SERVER


def test_outdated_tls_is_allowed_by_a_tick(connect: Any, shell: StageShell, driver: Driver, until: Until) -> None:
    dialog = connect(opener=Server())
    assert dialog.entered().options == {}
    driver.click(dialog.outdated.widget)
    assert dialog.entered().options == {"legacy_tls": "yes"}
    profile = to_profile(replace(ENTERED, name="Old one", options=dialog.entered().options))
    shell.services.settings.save_server(profile)
    again = connect(opener=Server())
    assert not again.outdated.get()
    again.server.set(profile.id)
    again._server_chosen()
    assert again.outdated.get()
    assert again.entered().options == {"legacy_tls": "yes"}
    again.platform.set("hyperv")
    again._platform_chosen()
    assert "legacy_tls" not in again.entered().options


def test_a_saved_server_is_chosen_from_the_list(connect: Any, shell: StageShell) -> None:
    profile = to_profile(replace(ENTERED, name="Saved one", user="admin", port="8443"))
    shell.services.settings.save_server(profile)
    dialog = connect(opener=Server())
    dialog.server.set(profile.id)
    dialog._server_chosen()
    assert (dialog.user.get(), dialog.port.get()) == ("admin", "8443")
    assert dialog.address.get() == "10.0.0.1; pool2.example"


def test_the_platform_decides_which_fields_there_are(connect: Any) -> None:
    dialog = connect(opener=Server())
    for platform, user, hyperv, emergency in (
        ("hyperv", "Administrator", True, False),
        ("vsphere", "root", False, False),
        ("xenserver", "root", False, True),
    ):
        dialog.platform.set(platform)
        dialog._platform_chosen()
        dialog.top.update()
        assert dialog.user.get() == user
        assert bool(dialog.scheme.widget.winfo_ismapped()) is hyperv
        assert bool(dialog.emergency.widget.winfo_ismapped()) is emergency
    dialog.platform.set("hyperv")
    dialog.scheme.set("http")
    dialog._scheme_chosen()
    assert str(dialog.port.note.cget("text")) == "Empty = 5985."
    assert dialog.entered().options == {"scheme": "http", "auth": "ntlm"}


def test_a_client_certificate_asks_for_its_two_files_and_no_password(connect: Any, tmp_path: Path) -> None:
    dialog = connect(opener=Server())
    dialog.platform.set("hyperv")
    dialog._platform_chosen()
    assert not dialog.certificate.widget.winfo_ismapped()
    dialog.address.set("hv1")
    dialog.auth.set("certificate")
    dialog._scheme_chosen()
    dialog.top.update()
    assert dialog.certificate.widget.winfo_ismapped()
    assert dialog._buttons["Connect"].instate(["disabled"])
    for name, field in (("mine.pem", dialog.certificate), ("mine.key", dialog.key)):
        file = tmp_path / name
        file.write_text("PEM")
        field.set(str(file))
    dialog.refresh()
    assert dialog._buttons["Connect"].instate(["!disabled"])
    assert dialog.entered().options == {
        "scheme": "https",
        "auth": "certificate",
        "cert_pem": str(tmp_path / "mine.pem"),
        "cert_key_pem": str(tmp_path / "mine.key"),
    }


def test_without_a_safe_keyring_the_tick_is_grey_and_says_why(connect: Any, shell: StageShell) -> None:
    class Plain:
        pass

    services = replace(shell.services, credentials=Credentials(lambda: Plain()))  # type: ignore[arg-type,return-value]
    shell.services = services
    dialog = connect(opener=Server())
    assert dialog.remember.widget.instate(["disabled"])
    assert any("no keyring that can keep passwords safely" in text for text in texts(dialog.top))


def test_cancelling_while_logging_in_leaves_nothing_behind(
    connect: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    server = Server()
    dialog = connect(opener=server)
    dialog.address.set("127.0.0.9")
    dialog.password.set("x")
    dialog.accept("Connect")
    dialog.cancel()
    until(lambda: bool(server.made) and server.made[0].closed.is_set(), "the login in the background")
    assert len(shell.services.connections.all()) == 1


def test_no_secret_is_shown_or_printed(connect: Any) -> None:
    dialog = connect(opener=Server())
    dialog.password.set("cAnArY")
    assert str(dialog.password.entry.cget("show")) == "•"
    assert "cAnArY" not in repr(dialog.entered())
    assert "cAnArY" not in repr(dialog.secret())
    profile: ServerProfile = to_profile(replace(ENTERED))
    assert "cAnArY" not in repr(profile)


def test_a_new_server_is_typed_at_once_where_others_are_saved(shell: StageShell, driver: Driver) -> None:
    shell.services.settings.save_server(to_profile(replace(ENTERED, name="Saved")))
    dialog = ConnectDialog(shell)
    seen: list[str] = []

    def type_address() -> None:
        driver.type("10.7")
        shell.root.after(200, finish)

    def finish() -> None:
        seen.append(dialog.address.get())
        dialog.cancel()

    shell.root.after(500, type_address)
    dialog.run()
    assert seen == ["10.7"]
