"""`hvconsole check`, help, the window's start, closed pipes and full disks."""

import json
import sys
from pathlib import Path

import pytest

from hvconsole import __version__
from tests.cli.stage import URL


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
