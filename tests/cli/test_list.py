"""`hvconsole list`: what is printed where, and the exit codes of every command."""

import json
import sys

import pytest

from hvconsole.errors import (
    AuthError,
    BadReply,
    CertificateError,
    EmergencyMode,
    HostIsSlave,
    NotAHypervisor,
    PermissionDenied,
    Unreachable,
)
from tests.cli.stage import OTHER, PRESENTED, URL


def test_list_json_has_exactly_the_promised_fields(server, run):
    said = run("list", URL, "--json")
    assert said.code == 0
    assert said.err == ""
    rows = json.loads(said.out)
    assert [row["name"] for row in rows] == ["evil\x1b[31m‮", "twin", "twin", "web1", "web2"]
    created = rows[3]["snapshots"][0]["created"]
    assert created.endswith("Z")
    assert rows[3] == {
        "platform": "xenserver",
        "server": "pool.example",
        "pool": "node1",
        "host": "node1",
        "uuid": "0000-1",
        "name": "web1",
        "power_state": "running",
        "addresses": ["10.0.0.1", "fe80::1"],
        "tools": "running",
        "os": "Debian 12",
        "vcpus": 2,
        "memory_bytes": 1 << 30,
        "snapshots": [
            {"id": "snap-1", "name": "before", "created": created, "parent": None, "automatic": False},
            {"id": "snap-2", "name": "Network_Down x", "created": created, "parent": "snap-1", "automatic": True},
        ],
    }  # fmt: skip
    unknown = rows[4]
    assert (unknown["pool"], unknown["host"], unknown["os"], unknown["vcpus"]) == (None, None, None, None)
    assert (unknown["power_state"], unknown["tools"], unknown["addresses"]) == ("unknown", "unknown", [])
    assert server.closed == 1


def test_list_shows_a_safe_table(server, run):
    said = run("list", URL)
    assert said.out.splitlines()[0].split() == ["NAME", "STATE", "HOST", "ADDRESS", "TOOLS", "SNAPSHOTS", "UUID"]
    assert "evil⟨U+001B⟩[31m⟨U+202E⟩" in said.out
    assert "\x1b" not in said.out
    assert "Debian template" not in said.out


def test_several_servers_are_listed_together_and_a_bad_one_does_not_hide_the_good(server, run, monkeypatch):
    good = cli_open = sys.modules["hvconsole.cli.session"].open_hypervisor

    def sometimes(target, secret, trust, clock):
        if target.addresses[0][0] == "away":
            raise Unreachable("away doesn't answer.")
        return good(target, secret, trust, clock)

    assert cli_open is good
    monkeypatch.setattr("hvconsole.cli.session.open_hypervisor", sometimes)
    said = run("list", URL, "xenserver://root@away", "hyperv://admin@hv1", "--json")
    assert said.code == 5
    assert {row["server"] for row in json.loads(said.out)} == {"pool.example", "hv1"}
    assert "away" in said.err
    assert run("list", URL, "xenserver://root@two").out.split()[0] == "SERVER"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CertificateError("Unknown.", reason="unknown", presented=PRESENTED), 3),
        (CertificateError("Changed.", reason="changed", presented=PRESENTED, pinned=OTHER), 3),
        (AuthError("Wrong password."), 4),
        (Unreachable("No answer."), 5),
        (NotAHypervisor("A printer."), 5),
        (EmergencyMode("In emergency mode."), 5),
        (HostIsSlave("A pool member.", master_address="10.0.0.9"), 5),
        (PermissionDenied("May not look."), 1),
        (BadReply("Gibberish."), 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("words", [("list",), ("run", "start")])
def test_exit_codes_tell_what_is_wrong(server, run, error, code, words):
    server.trouble["login"] = error
    said = run(*words, URL, *(["web1"] if words[0] == "run" else []), *(["--json"] if words[0] == "list" else []))
    assert said.code == code
    assert error.user_text in said.err
    if words[0] == "list":
        assert json.loads(said.out) == []
    if code == 3:
        assert "AB:AB:" in said.err
        assert "--fingerprint" in said.err
    if isinstance(error, HostIsSlave):
        assert "10.0.0.9" in said.err
