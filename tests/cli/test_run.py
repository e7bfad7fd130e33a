"""`hvconsole run`: who is meant, what is sent, what is said and recorded, and how it ends."""

import io
import json
import os
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hvconsole import cli
from hvconsole.backends.base import Capability, CreateVm
from hvconsole.cli.recorded import recorded
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    NoSpace,
    OutcomeUnknown,
    ToolsMissing,
    Unreachable,
)
from hvconsole.events import Hub, Notice
from hvconsole.history import History
from hvconsole.model import (
    ObjectId,
    Verb,
)
from hvconsole.settings import history_path
from tests.cli.stage import CANARY, URL


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
