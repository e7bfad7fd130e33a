"""The command line as scripts meet it: what is printed where, what is refused, and how it ends."""

import io
import json
import logging
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hvconsole import __version__, cli
from hvconsole.backends.base import Capability, CreateVm, Hypervisor, Secret, Step, VmDetails
from hvconsole.cli.recorded import recorded
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    AuthError,
    BadReply,
    CertificateError,
    EmergencyMode,
    HostIsSlave,
    NoSpace,
    NotAHypervisor,
    OutcomeUnknown,
    PermissionDenied,
    ToolsMissing,
    Unreachable,
)
from hvconsole.events import Hub, Notice
from hvconsole.history import History
from hvconsole.model import (
    AUTOMATIC_MARK,
    Certificate,
    Disk,
    Host,
    Inventory,
    Network,
    ObjectId,
    Pool,
    PowerState,
    ServerInfo,
    Snapshot,
    Storage,
    ToolsState,
    Verb,
    Vm,
    VmKind,
)
from hvconsole.profiles import new_profile
from hvconsole.settings import SettingsStore, history_path, settings_path
from hvconsole.trust import PinStore

NOW = SystemClock().now()
INFO = ServerInfo(platform="xenserver", product="XCP-ng", version="8.3", address="pool", port=443, user="root")
URL = "xenserver://root@pool.example"
SHA = "ab" * 32
PRESENTED = Certificate(host="pool.example", port=443, sha256=SHA, subject="CN=pool", issuer="CN=pool")
OTHER = replace(PRESENTED, sha256="cd" * 32)
CANARY = "cAnArY-pa55"


def vm(number, name=None, **values):
    return Vm(id=ObjectId(f"vm-{number}"), uuid=f"0000-{number}", name=name or f"web{number}", **values)


def snapshot(number, name, **values):
    return Snapshot(id=ObjectId(f"snap-{number}"), name=name, created=NOW, **values)


def estate():
    host = Host(id=ObjectId("h1"), uuid="h-uuid-1", name="node1")
    automatic = snapshot(2, "Network_Down x", description=AUTOMATIC_MARK, parent_id=ObjectId("snap-1"))
    snaps = (snapshot(1, "before"), automatic)
    vms = [
        vm(1, power=PowerState.RUNNING, host_id=host.id, pool_id=ObjectId("p1"), addresses=("10.0.0.1", "fe80::1"),
           tools=ToolsState.RUNNING, os="Debian 12", vcpus=2, memory_bytes=1 << 30, snapshots=snaps),
        vm(2, refusals={Verb.START: "It is broken."}),
        vm(3, name="twin"),
        vm(4, name="twin"),
        vm(5, name="evil\x1b[31m‮"),
        vm(9, kind=VmKind.TEMPLATE, name="Debian template"),
    ]  # fmt: skip
    return Inventory(
        server=INFO,
        taken=NOW,
        pools={ObjectId("p1"): Pool(id=ObjectId("p1"), uuid="p1", name="", master_id=host.id)},
        hosts={host.id: host},
        vms={each.id: each for each in vms},
        networks={ObjectId("n1"): Network(id=ObjectId("n1"), uuid="n-uuid-1", name="LAN")},
        storages={ObjectId("sr"): Storage(id=ObjectId("sr"), uuid="sr-uuid", name="local")},
    )


class Server(Hypervisor):
    """Does what it is told and remembers it. ``trouble`` maps a VM to the error its verbs raise."""

    info = INFO
    capabilities = ~Capability.NONE

    def __init__(self):
        self.inventory = estate()
        self.calls = []
        self.trouble = {}
        self.closed = 0
        self.logins = []

    def watch(self, timeout_s):
        return self.inventory

    def refresh(self):
        raise AssertionError

    def close(self):
        self.closed += 1

    def details(self, vm_id):
        root, data = Disk(id=ObjectId("d1"), name="root"), Disk(id=ObjectId("d2"), name="data")
        return VmDetails(vm_id=vm_id, disks=(root, data, Disk(id=ObjectId("cd"), is_cd=True)))

    def diagnose(self):
        yield Step(name="clock", ok=False, text="The clocks differ by 90 s.", remedy="Set the clock.")

    def _do(self, verb, vm_id, *values, **options):
        self.calls.append((verb, vm_id, *values, options) if options else (verb, vm_id, *values))
        if vm_id in self.trouble:
            raise self.trouble[vm_id]

    def start(self, vm_id, ctx, *, host_id=None):
        self._do("start", vm_id, **({"host_id": host_id} if host_id else {}))

    def shutdown(self, vm_id, ctx):
        self._do("shutdown", vm_id)

    def power_off(self, vm_id, ctx):
        self._do("power_off", vm_id)

    reboot = reset = power_off

    def snapshot(self, vm_id, name, description, ctx, *, memory=False, quiesce=False):
        self._do("snapshot", vm_id, name, description, memory=memory, quiesce=quiesce)
        return snapshot(7, name)

    def revert(self, vm_id, snapshot_id, ctx):
        self._do("revert", vm_id, snapshot_id)

    def delete_vm(self, vm_id, ctx, *, keep_disks=frozenset()):
        self._do("delete", vm_id, keep_disks)

    def rename(self, vm_id, name, ctx, *, description=None):
        self._do("rename", vm_id, name, description)

    def migrate(self, vm_id, host_id, ctx, *, storage_id=None):
        if storage_id is not None and Capability.MIGRATE_STORAGE not in self.capabilities:
            raise self._unsupported("moving disks while migrating")
        self._do("migrate", vm_id, host_id, storage_id)

    def import_vm(self, path, ctx, *, name="", storage_id=None, host_id=None, network_id=None):
        self._do("import", "", str(path), name, storage_id, host_id, network_id)
        return ObjectId("vm-new")

    def create_vm(self, spec, ctx):
        self._do("create", "", spec)
        return ObjectId("vm-new")

    def host_info(self, host_id):
        raise AssertionError

    def host_reboot(self, host_id, ctx, *, force=False):
        self._do("host_reboot", host_id, force)

    def change_password(self, old, new, ctx):
        self._do("change_password", "", old.password, new.password)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server behind every URL; settings, pins and history in a folder of the test's own."""
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HVCONSOLE_PASSWORD", CANARY)
    server = Server()

    def open_hypervisor(target, secret, trust, clock):
        server.logins.append((target, secret.password, trust))
        error = server.trouble.get("login")
        if error is not None:
            raise error
        return server

    monkeypatch.setattr("hvconsole.cli.session.open_hypervisor", open_hypervisor)
    monkeypatch.setattr("hvconsole.doctor.open_hypervisor", open_hypervisor)
    return server


class Said:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys):
    def run(*words):
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as exc:
            code = exc.code
        captured = capsys.readouterr()
        assert CANARY not in captured.out + captured.err
        return Said(code, captured.out, captured.err)

    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield run
    logging.getLogger().handlers[:], logging.getLogger().level = before[0], before[1]


# ---- list -----------------------------------------------------------------------------------------------------


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


# ---- trust and passwords --------------------------------------------------------------------------------------


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


# ---- run ------------------------------------------------------------------------------------------------------


def test_vms_are_found_by_uuid_id_and_unique_name_and_done_once(server, run):
    said = run("run", "start", URL, "0000-3", "web1", "VM-1", "Debian template")
    assert said.code == 0
    assert sorted(server.calls) == [("start", "vm-1"), ("start", "vm-3"), ("start", "vm-9")]
    assert "web1: start done" in said.out
    assert server.closed == 1


def test_an_ambiguous_name_lists_the_candidates(server, run):
    said = run("run", "start", URL, "twin")
    assert said.code == 2
    assert "0000-3" in said.err
    assert "0000-4" in said.err


def test_vms_that_share_a_uuid_are_told_by_their_ids(server, run):
    inventory = server.inventory
    three, four = inventory.vms[ObjectId("vm-3")], inventory.vms[ObjectId("vm-4")]
    server.inventory = replace(inventory, vms={**inventory.vms, four.id: replace(four, uuid=three.uuid)})
    for text in ("twin", three.uuid):
        said = run("run", "start", URL, text)
        assert said.code == 2
        assert "name one by id" in said.err
        assert "vm-3" in said.err
        assert "vm-4" in said.err
    assert run("run", "start", URL, "vm-4").code == 0


def test_an_unknown_vm_fails_before_anything_is_done(server, run):
    said = run("run", "start", URL, "web1", "nosuch")
    assert said.code == 1
    assert "nosuch" in said.err
    assert not server.calls


def test_each_of_several_is_reported_and_one_failure_is_a_failure(server, run):
    server.trouble["vm-3"] = NoSpace("The storage is full.", "SR_FULL")
    said = run("run", "start", URL, "web1", "web2", "0000-3")
    assert said.code == 1
    assert "web1: start done" in said.out
    assert "It is broken." in said.err
    assert "The storage is full." in said.err
    assert "SR_FULL" in said.err
    assert ("start", "vm-2") not in server.calls


def test_missing_tools_name_the_hard_variant(server, run):
    server.trouble["vm-1"] = ToolsMissing("The guest has no tools.")
    said = run("run", "shutdown", URL, "web1")
    assert said.code == 1
    assert "power-off" in said.err


def test_a_hard_variant_that_cannot_help_is_not_named(server, run):
    server.trouble["vm-1"] = ToolsMissing("The guest has no tools.")
    assert "variant" not in run("run", "snapshot", URL, "web1", "--name", "x", "--quiesce").err
    off = {Verb.SHUTDOWN: "It is shut down.", Verb.POWER_OFF: "It is shut down."}
    vms = {key: replace(one, refusals=off) for key, one in server.inventory.vms.items()}
    server.inventory = replace(server.inventory, vms=vms)
    said = run("run", "shutdown", URL, "web1")
    assert said.code == 1
    assert said.err == "web1: It is shut down.\n"


def test_run_json_prints_one_object_per_vm(server, run):
    server.trouble["vm-2"] = OutcomeUnknown("Lost.", "cut")
    said = run("run", "--json", "shutdown", URL, "web1", "web2")
    rows = [json.loads(line) for line in said.out.splitlines()]
    outcomes = [(row["name"], row["outcome"], row["error"]) for row in rows]
    assert outcomes == [("web1", "done", None), ("web2", "unknown", "Lost.")]
    server.trouble["vm-2"] = OutcomeUnknown("Lost.")
    assert json.loads(run("run", "--json", "shutdown", URL, "web2").out)["detail"] is None
    assert said.code == 1


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["snapshot", URL, "web1", "--name", "n1", "--memory"],
         ("snapshot", "vm-1", "n1", "", {"memory": True, "quiesce": False})),
        (["--name=n1", "snapshot", URL, "web1"], ("snapshot", "vm-1", "n1", "", {"memory": False, "quiesce": False})),
        (["--name", "start", "snapshot", "--description", "d", URL, "web1"],
         ("snapshot", "vm-1", "start", "d", {"memory": False, "quiesce": False})),
        (["revert", URL, "web1", "--snapshot", "before"], ("revert", "vm-1", "snap-1")),
        (["revert", URL, "--snapshot", "SNAP-2", "web1"], ("revert", "vm-1", "snap-2")),
        (["start-on", URL, "web1", "--host", "node1"], ("start", "vm-1", {"host_id": "h1"})),
        (["delete", URL, "web1"], ("delete", "vm-1", frozenset())),
        (["delete", URL, "web1", "--keep-disks", "data"], ("delete", "vm-1", frozenset({"d2"}))),
        (["rename", URL, "web1", "--name", "web-new"], ("rename", "vm-1", "web-new", None)),
        (["host-reboot", URL, "node1", "--force"], ("host_reboot", "h1", True)),
        (["host-reboot", URL, "H-UUID-1"], ("host_reboot", "h1", False)),
        (["create", URL, "--name", "new", "--memory", "2G", "--disk", "20GiB", "--storage", "local", "--vcpus", "2",
          "--template", "Debian template", "--start"],
         ("create", "", CreateVm(name="new", memory_bytes=2 << 30, disk_bytes=20 << 30, storage_id=ObjectId("sr"),
                                 vcpus=2, template_id=ObjectId("vm-9"), start=True))),
    ],
)  # fmt: skip
def test_options_come_from_the_operations_table(server, run, words, call):
    said = run("run", *words)
    assert said.err == ""
    assert said.code == 0
    assert server.calls == [call]


def test_several_vms_are_created_with_a_counter_in_their_name(server, run):
    said = run("run", "create", URL, "--name", "web-#.lab", "--count", "3", "--vcpus", "1", "--json")
    assert said.code == 0
    assert sorted(spec.name for _verb, _server, spec in server.calls) == ["web-01.lab", "web-02.lab", "web-03.lab"]
    assert [json.loads(line)["name"] for line in said.out.splitlines()] == ["web-01.lab", "web-02.lab", "web-03.lab"]
    assert run("run", "create", URL, "--name", "c#").code == 0
    assert server.calls[-1][2].name == "c#"


@pytest.mark.parametrize(
    "words",
    [
        ["revert", URL, "web1", "--snapshot", "nosuch"],
        ["revert", URL, "web2", "--snapshot", "before"],
        ["start-on", URL, "web1", "--host", "nosuch"],
        ["host-reboot", URL, "nosuch"],
        ["snapshot", URL, "web1", "--name", "a\x01b"],
        ["snapshot", URL, "web1", "--name", "  "],
    ],
)
def test_what_does_not_exist_or_cannot_be_sent_fails_unsent(server, run, words):
    said = run("run", *words)
    assert said.code == 1
    assert said.err
    assert not server.calls


def test_a_vm_that_is_there_already_is_left_to_the_server(server, run):
    one = ObjectId("vm-1")
    reasons = {Verb.START: "It runs.", Verb.UNPAUSE: "It isn't paused.", Verb.SUSPEND: "It can't be suspended."}
    server.inventory = replace(
        server.inventory, vms={**server.inventory.vms, one: replace(server.inventory.vms[one], refusals=reasons)}
    )
    assert run("run", "start", URL, "web1").code == 0
    assert run("run", "suspend", URL, "web1").code == 1
    assert server.calls == [("start", "vm-1")]


def test_what_cannot_be_done_at_all_says_so_before_names_are_looked_up(server, run):
    one = ObjectId("vm-1")
    stuck = replace(server.inventory.vms[one], refusals={Verb.MIGRATE: "Live migration is switched off."})
    server.inventory = replace(server.inventory, vms={**server.inventory.vms, one: stuck})
    said = run("run", "migrate", URL, "web1", "--host", "elsewhere")
    assert said.code == 1
    assert "switched off" in said.err
    assert "elsewhere" not in said.err


def test_migrating_takes_a_host_a_storage_or_both(server, run):
    assert run("run", "migrate", URL, "web1", "--host", "node1").code == 0
    assert run("run", "migrate", URL, "web1", "--storage", "local").code == 0
    assert run("run", "migrate", URL, "web1", "--storage", "local", "--host", "node1").code == 0
    assert server.calls == [
        ("migrate", "vm-1", "h1", None), ("migrate", "vm-1", None, "sr"), ("migrate", "vm-1", "h1", "sr")
    ]  # fmt: skip
    said = run("run", "migrate", URL, "web1")
    assert said.code == 2
    assert "--host or --storage" in said.err
    assert len(server.logins) == 3
    said = run("run", "migrate", URL, "web1", "--storage", "elsewhere")
    assert said.code == 1
    assert "local" in said.err


def test_a_storage_where_only_hosts_can_be_chosen_is_refused_with_the_reason(server, run):
    server.capabilities = ~Capability.MIGRATE_STORAGE
    said = run("run", "migrate", URL, "web1", "--storage", "local", "--host", "node1")
    assert said.code == 1
    assert "doesn't offer" in said.err
    assert not server.calls


def test_importing_takes_the_place_and_the_network_by_name(server, run):
    said = run("run", "import", URL, "--from", "f.xva", "--host", "node1", "--network", "LAN", "--storage", "local")
    assert said.code == 0
    assert run("run", "import", URL, "--from", "f.xva", "--name", "n", "--network", "n-uuid-1").code == 0
    assert server.calls == [
        ("import", "", "f.xva", "", "sr", "h1", "n1"), ("import", "", "f.xva", "n", None, None, "n1")
    ]  # fmt: skip
    said = run("run", "import", URL, "--from", "f.xva", "--network", "nowhere")
    assert said.code == 1
    assert "There is no network “nowhere”; there are: LAN." in said.err
    said = run("run", "import", URL, "--from", "f.xva", "--host", "nowhere")
    assert said.code == 1
    assert "node1" in said.err
    assert len(server.calls) == 2


def test_an_unclear_disk_is_wrong_usage(server, run):
    said = run("run", "delete", URL, "web1", "--keep-disks", "nosuch")
    assert said.code == 2
    assert "root" in said.err


def test_passwords_are_changed_without_being_seen(server, run, monkeypatch):
    monkeypatch.setenv("HVCONSOLE_NEW_PASSWORD", "fresh")
    assert run("run", "change-password", URL).code == 0
    assert server.calls == [("change_password", "", CANARY, "fresh")]
    monkeypatch.setenv("HVCONSOLE_NEW_PASSWORD", "")
    assert run("run", "change-password", URL).code == 2
    monkeypatch.delenv("HVCONSOLE_NEW_PASSWORD")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run("run", "change-password", URL).code == 2


def test_typed_passwords_must_match(server, run, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter(["one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: next(typed))
    assert run("run", "change-password", URL).code == 2
    typed = iter(["one", "one"])
    assert run("run", "change-password", URL).code == 0
    assert server.calls[-1][-1] == "one"


def test_what_was_done_is_in_the_history(server, run):
    server.trouble["vm-2"] = NoSpace("Full.")
    run("run", "shutdown", URL, "web1", "web2")
    from hvconsole.events import Hub

    history = History(history_path(), Hub(), SystemClock())
    history.start()
    rows = history.search("shutdown")
    assert history.close()
    assert {(row.subject, row.outcome, row.server) for row in rows} == {
        ("web1", "done", "pool.example"), ("web2", "failed", "pool.example"),
    }  # fmt: skip


def test_what_could_not_be_recorded_is_said_even_by_a_quick_command(server, run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("hvconsole.cli.recorded.history_path", lambda: tmp_path / "file" / "history.db")
    said = run("run", "shutdown", URL, "web1")
    assert said.code == 0
    assert f"The folder {tmp_path / 'file'} can't be created" in said.err


def test_where_every_stream_is_closed_a_command_still_does_its_work(server, run, monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", None)
    assert run("run", "shutdown", URL, "web1").code == 0
    assert server.calls == [("shutdown", "vm-1")]
    monkeypatch.delenv("HVCONSOLE_PASSWORD")
    monkeypatch.setattr("hvconsole.cli.session._check_certificate", lambda *_: None)
    assert run("run", "shutdown", URL, "web1").code == 4


def test_without_a_stderr_complaints_do_not_get_into_the_output(server, run, monkeypatch):
    server.trouble["login"] = Unreachable("Nothing answers.")
    monkeypatch.setattr("sys.stderr", None)
    said = run("list", URL, "--json")
    assert (said.code, said.out) == (5, "[]\n")


def test_trouble_that_repeats_is_said_once_until_it_is_over(server, capsys):
    hub = Hub()
    with recorded(hub, SystemClock(), str):
        for text in ("Full.", "Full.", "", "Full.", "Fuller.", "Fuller."):
            hub.emit(Notice("disk", text))
        hub.emit(Notice("ping", "Full."))
    assert capsys.readouterr().err.split() == ["Full.", "Full.", "Fuller.", "Full."]


@pytest.mark.parametrize("words", [("list", URL), (URL,)])
def test_ctrl_c_before_anything_is_done_ends_quietly(run, monkeypatch, words):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("hvconsole.app.open_window", interrupted)
    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=interrupted))
    said = run(*words)
    assert (said.code, said.err) == (130, "")


def test_ctrl_c_cancels_and_waits_for_the_outcome(server, run, monkeypatch):
    started = threading.Event()

    def shutdown(vm_id, ctx):
        started.set()
        assert ctx.wait(10)
        ctx.raise_if_cancelled()

    monkeypatch.setattr(server, "shutdown", shutdown)

    def press():
        assert started.wait(10)
        os.kill(os.getpid(), 2)

    thread = threading.Thread(target=press)
    thread.start()
    said = run("run", "shutdown", URL, "web1")
    thread.join(10)
    assert said.code == 1
    assert "cancelled" in said.err.lower()


def test_ctrl_c_waits_once_for_all_that_hang(server, run, monkeypatch):
    monkeypatch.setattr("hvconsole.cli.cmd_run.CANCEL_LIMIT_S", 0.5)
    started, release = threading.Semaphore(0), threading.Event()

    def shutdown(vm_id, ctx):
        started.release()
        release.wait(20)

    monkeypatch.setattr(server, "shutdown", shutdown)

    def press():
        for _ in range(4):
            assert started.acquire(timeout=10)
        os.kill(os.getpid(), 2)

    thread = threading.Thread(target=press)
    thread.start()
    begun = SystemClock().monotonic()
    said = run("run", "shutdown", URL, *(f"vm-{n}" for n in (1, 2, 3, 4)))
    took = SystemClock().monotonic() - begun
    release.set()
    thread.join(10)
    assert said.code == 1
    assert said.err.count("shutdown cancelling") == 4
    assert took < 1.9


# ---- check ----------------------------------------------------------------------------------------------------


def test_check_stops_at_the_first_failure_with_a_remedy(server, run):
    said = run("check", "xenserver://root@127.0.0.2:1", "--json")
    steps = [json.loads(line) for line in said.out.splitlines()]
    assert [(s["step"], s["ok"]) for s in steps] == [("dns", True), ("tcp", False)]
    assert "toolstack" in steps[-1]["remedy"]
    assert said.code == 5
    said = run("check", "hyperv://admin@nosuch.invalid")
    assert said.code == 5
    assert "FAILED  DNS" in said.out
    assert not server.logins


# ---- the rest -------------------------------------------------------------------------------------------------


def test_help_and_version_answer(run):
    said = run("--help")
    assert said.code == 0
    for word in ("list", "watch", "check", "lab", "--demo", "HVCONSOLE_PASSWORD", "exit codes"):
        assert word in said.out
    assert run("--version").out.strip() == f"hvconsole {__version__}"
    assert "power-off" in run("run", "--help").out
    assert "--name" in run("run", "snapshot", "--help").out


def test_the_window_gets_servers_and_demo(run, monkeypatch):
    opened = []
    monkeypatch.setattr("hvconsole.app.open_window", lambda *a, **k: opened.append((a, k)) or 0, raising=False)
    assert run(URL, "Production").code == 0
    assert run("--demo").code == 0
    assert len(opened) == 2
    assert opened[1][1].get("demo") is True


def test_a_closed_pipe_ends_quietly(tmp_path, server):
    import subprocess

    code = (
        "import sys; from hvconsole import cli; from hvconsole.cli import cmd_list, output\n"
        "def run(a):\n    p = output.Printer()\n    [p.line('x' * 1000) for _ in range(1000)]\n    return 0\n"
        "cmd_list.run = run\nsys.exit(cli.main(['list', 'xenserver://h']))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait(30) == 130


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_the_output_is_one_sentence(tmp_path, server):
    import subprocess

    code = (
        "import sys; from hvconsole import cli; from hvconsole.cli import cmd_list, output\n"
        "def run(a):\n    output.Printer().line('x')\n    return 0\n"
        "cmd_list.run = run\nsys.exit(cli.main(['list', 'xenserver://h']))"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "The output can't be written."
    assert len(done.stderr.splitlines()) == 2
