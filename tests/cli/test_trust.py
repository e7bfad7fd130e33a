"""Certificates, fingerprints, passwords and wrong usage on the command line."""

import io
import logging
import sys
from dataclasses import replace

import pytest

from hvconsole import cli
from hvconsole.backends.base import Secret
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    CertificateError,
)
from hvconsole.profiles import new_profile
from hvconsole.settings import SettingsStore, settings_path
from hvconsole.trust import PinStore
from tests.cli.stage import CANARY, PRESENTED, SHA, URL


@pytest.mark.parametrize("shape", [SHA, SHA.upper(), ":".join(["AB"] * 32)])
def test_a_fingerprint_is_taken_in_any_shape_and_pins_every_address(server, run, shape):
    assert run("list", URL, "--fingerprint", shape).code == 0
    (target, _password, trust) = server.logins[0]
    assert trust.pinned(*target.addresses[0]).sha256 == SHA


def test_fingerprints_go_to_their_servers_in_order(server, run):
    other = "xenserver://root@two"
    assert run("list", URL, other, "--fingerprint", SHA, "--fingerprint", "cd" * 32).code == 0
    trust = server.logins[0][2]
    assert trust.pinned("pool.example", 443).sha256 == SHA
    assert trust.pinned("two", 443).sha256 == "cd" * 32
    assert run("list", URL, other, URL, "--fingerprint", SHA, "--fingerprint", SHA).code == 2
    assert run("list", URL, URL, "--fingerprint", SHA, "--fingerprint", "cd" * 32).code == 2
    assert run("list", URL, "--fingerprint", "ab" * 20).code == 2


def test_a_certificate_accepted_in_the_window_holds_here_too(server, run, tmp_path):
    PinStore(tmp_path / "home" / "certificates.json").accept(PRESENTED)
    assert run("list", URL).code == 0
    assert server.logins[0][2].pinned("pool.example", 443) == PRESENTED


def test_the_password_comes_from_the_environment_and_nowhere_else_without_a_terminal(server, run, monkeypatch):
    assert run("list", URL).code == 0
    assert server.logins[0][1] == CANARY
    monkeypatch.delenv("HVCONSOLE_PASSWORD")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setattr("hvconsole.cli.session._check_certificate", lambda profile, trust: None)
    said = run("list", URL)
    assert said.code == 4
    assert "HVCONSOLE_PASSWORD" in said.err


def test_words_of_servers_cannot_steer_the_terminal_through_the_log():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(cli.SafeFormatter())
    hostile = "\x1b]0;owned\x07\n2026-01-01 00:00:00 ERROR main forged: line \u202e\x9b31m"
    try:
        raise ValueError(hostile)
    except ValueError:
        handler.handle(logging.makeLogRecord({"msg": "no login: %s", "args": (hostile,), "exc_info": sys.exc_info()}))
    lines = out.getvalue().splitlines()
    assert not any(set("\x1b\x07\u202e\x9b") & set(line) for line in lines)
    assert "⟨U+000A⟩2026-01-01" in lines[0]
    assert "Traceback (most recent call last):" in lines


def test_a_certificate_that_is_out_of_date_is_called_so(server, run, monkeypatch):
    past = SystemClock().now().replace(year=2001)
    stale = replace(PRESENTED, not_before=past.replace(year=2000), not_after=past)

    def wrong(profile, trust):
        raise CertificateError("Unknown.", reason="unknown", presented=stale)

    monkeypatch.delenv("HVCONSOLE_PASSWORD")
    monkeypatch.setattr("hvconsole.cli.session._check_certificate", wrong)
    assert "out of date" in run("list", URL).err


def test_a_person_is_asked_only_once_the_certificate_is_right(server, run, monkeypatch):
    monkeypatch.delenv("HVCONSOLE_PASSWORD")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: asked.append(prompt) or "typed")

    def wrong(profile, trust):
        raise CertificateError("Unknown.", reason="unknown", presented=PRESENTED)

    monkeypatch.setattr("hvconsole.cli.session._check_certificate", wrong)
    assert run("list", URL).code == 3
    assert asked == []
    monkeypatch.setattr("hvconsole.cli.session._check_certificate", lambda profile, trust: None)
    assert run("list", URL).code == 0
    assert server.logins[0][1] == "typed"
    assert asked == ["Password of root for pool.example: "]


def test_saved_servers_are_named_and_use_the_keyring(server, run, monkeypatch):
    store = SettingsStore(settings_path())
    profile = replace(new_profile("xenserver", "10.0.0.1", "anna", "Production"), remember_password=True)
    store.save_server(profile)
    store.flush()
    monkeypatch.delenv("HVCONSOLE_PASSWORD")
    monkeypatch.setattr("hvconsole.credentials.Credentials.load", lambda self, server_id: Secret(password=CANARY))
    assert run("list", "production").code == 0
    assert server.logins[0][0].user == "anna"
    assert server.logins[0][1] == CANARY
    said = run("list", "nowhere")
    assert said.code == 2
    assert "Production" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "ftp://x"),
        ("list", "xenserver://root:secret@pool"),
        ("list", URL, "--password", "x"),
        ("list", URL, "--option", "legacy"),
        ("run",),
        ("run", "explode", URL, "web1"),
        ("run", "start", URL),
        ("run", "snapshot", URL, "web1"),
        ("run", "start", URL, "twin"),
        ("run", "rename", URL, "web1", "web2", "--name", "x"),
        ("run", "create", URL, "--name", "x", "--memory", "lots"),
        ("run", "create", URL, "--name", "x", "--vcpus", "0"),
        ("run", "create", URL, "--name", "x", "--count", "0"),
        ("run", "create", URL, "--name", "x", "--count", "51"),
        ("watch", URL),
        ("lab", "--vms", "0"),
        ("lab", "--vms", "5", "--xapi-db", "x"),
        ("--nonsense",),
    ],
)
def test_wrong_usage_ends_with_2_and_a_word_about_it(server, run, words):
    said = run(*words)
    assert said.code == 2
    assert said.err
    assert said.out == ""
    assert not server.calls
