"""The command line against the lab, each command a process of its own: what scripts and services will do with it."""

import base64
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest

from hvconsole.clock import SystemClock
from hvconsole.lab import Lab

LIMIT_S = 30
FAST = ("--interval", "0.5", "--timeout", "0.2")


@pytest.fixture(autouse=True)
def plain_signals():
    """Commands are started as from a terminal, also when the suite runs under nohup or in the background of a script:
    both hand ignored signals down."""
    named = [number for number in (signal.SIGINT, getattr(signal, "SIGHUP", None)) if number is not None]
    before = {number: signal.getsignal(number) for number in named}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def environment(tmp_path, lab):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HVCONSOLE", "COV", "PYTEST"))}
    return {**kept, "HVCONSOLE_HOME": str(tmp_path / "home"), "HVCONSOLE_PASSWORD": lab.servers[0].password}


@pytest.fixture
def url(lab):
    return lab.servers[0].url


@pytest.fixture
def pin(lab):
    return ("--fingerprint", lab.servers[0].sha256)


@pytest.fixture
def run(environment):
    def run(*words, **extra):
        return subprocess.run(
            [sys.executable, "-m", "hvconsole", *words],
            env={**environment, **extra}, capture_output=True, text=True, timeout=LIMIT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


class Running:
    """A command that goes on, its stdout read line by line."""

    def __init__(self, words, environment):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hvconsole", *words],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.lines = queue.Queue()
        self.seen = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def until(self, wanted, after=0):
        """The first JSON line, from number ``after`` on, for which ``wanted`` is true; lines already read count."""
        end = SystemClock().monotonic() + LIMIT_S
        for line in self.seen[after:]:
            if wanted(line):
                return line
        while (left := end - SystemClock().monotonic()) > 0:
            line = self.lines.get(timeout=left)
            assert line is not None, self.process.stderr.read()
            self.seen.append(json.loads(line))
            if wanted(self.seen[-1]):
                return self.seen[-1]
        raise AssertionError(f"not among {self.seen[-20:]}")

    def end(self, number):
        self.process.send_signal(number)
        code = self.process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return code, errors


@contextmanager
def started(words, environment):
    running = Running(words, environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)


def vms(run, url, pin):
    done = run("list", url, *pin, "--json")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}


def event(name, vm=None):
    return lambda line: line["event"] == name and (vm is None or line["vm"] == vm)


def up(vm):
    return lambda line: line["event"] == "state" and line["vm"] == vm and line["state"] == "up"


def test_a_script_lists_works_and_checks_a_pool(run, url, pin, lab):
    before = vms(run, url, pin)
    assert before["web-01"]["power_state"] == "running"
    done = run("run", "snapshot", url, "web-01", before["web-02"]["uuid"], "--name", "nightly", *pin)
    assert done.returncode == 0, done.stderr
    assert run("run", "suspend", url, "web-03", *pin).returncode == 0
    refused = run("run", "shutdown", url, "legacy-fax", *pin)
    assert refused.returncode == 1
    assert "power-off" in refused.stderr
    after = vms(run, url, pin)
    for name in ("web-01", "web-02"):
        (snapshot,) = [s for s in after[name]["snapshots"] if s["name"] == "nightly"]
        assert snapshot["automatic"] is False
        assert snapshot["created"].endswith("Z")
    assert after["web-03"]["power_state"] == "suspended"
    checked = run("check", url, *pin)
    assert checked.returncode == 0
    assert [line.split()[:2] for line in checked.stdout.splitlines() if line.startswith("  ok")][:5] == [
        ["ok", "DNS"], ["ok", "TCP"], ["ok", "TLS"], ["ok", "login"], ["ok", "permission"],
    ]  # fmt: skip


def test_wrong_certificates_and_passwords_have_their_own_exit_codes(run, url, pin, lab):
    sha256 = lab.servers[0].sha256
    unknown = run("list", url, "--json")
    assert unknown.returncode == 3
    assert sha256 in unknown.stderr.replace(":", "").lower()
    changed = run("list", url, "--fingerprint", "ab" * 32)
    assert changed.returncode == 3
    assert "AB:AB" in changed.stderr
    assert sha256 in changed.stderr
    wrong = run("list", url, *pin, HVCONSOLE_PASSWORD="wrong")
    assert wrong.returncode == 4
    assert run("check", url, *pin, HVCONSOLE_PASSWORD="wrong").returncode == 4
    assert run("watch", url, "web-01", *pin, HVCONSOLE_PASSWORD="wrong").returncode == 4
    assert run("watch", url, "web-01").returncode == 3
    assert run("watch", "xenserver://root@127.0.0.2:1", "web-01", *pin).returncode == 5
    assert run("watch", url, "nosuch", *pin).returncode == 1


def test_a_pool_member_names_its_master_and_is_not_followed(run, pin, lab):
    member = lab.servers[0].members[1]
    done = run("list", f"xenserver://root@{member}", *pin)
    assert done.returncode == 5
    assert lab.servers[0].members[0].rpartition(":")[0] in done.stderr


def test_a_member_without_its_master_is_made_master_from_the_command_line(run, pin, lab):
    dead, member = lab.servers[0].members[:2]
    lab.fail_master()
    member_url = f"xenserver://root@{member}"
    assert run("list", f"xenserver://root@{dead}", *pin).returncode == 5
    refused = run("check", member_url, *pin)
    assert refused.returncode == 5
    assert "emergency=yes" in refused.stdout
    local = run("check", member_url, *pin, "--option", "emergency=yes")
    assert local.returncode == 0, local.stdout
    assert "is in emergency mode" in local.stdout
    listed = run("list", member_url, *pin, "--option", "emergency=yes")
    assert listed.returncode == 5
    assert listed.stdout == ""
    assert "is in emergency mode" in listed.stderr
    assert "become-master" in listed.stderr
    assert run("run", "start", member_url, "web-01", *pin, "--option", "emergency=yes").returncode == 5
    made = run("run", "become-master", member_url, *pin, "--option", "emergency=yes")
    assert made.returncode == 0, made.stderr
    assert len(vms(run, member_url, pin)) > 30
    again = run("run", "become-master", member_url, *pin)
    assert again.returncode == 1
    assert "isn't in emergency mode; it is its pool's master" in again.stderr


def test_a_member_is_pointed_to_the_new_master_from_the_command_line(run, pin, lab):
    first, _second, third = lab.servers[0].members
    member = f"xenserver://root@{third}"
    address = first.rpartition(":")[0]
    done = run("run", "point-to-master", member, "--address", address, *pin)
    assert done.returncode == 1
    assert f"its pool's master is {address}" in done.stderr
    lab.fail_master()
    done = run("run", "point-to-master", member, "--address", address, *pin)
    assert done.returncode == 0, done.stderr
    assert "--option emergency=yes" in " ".join(run("run", "point-to-master", "--help").stdout.split())
    assert "doesn't ask" in " ".join(run("run", "become-master", "--help").stdout.split())


def test_an_emergency_login_where_there_is_none_names_the_master_and_lists_nothing(run, url, pin, lab):
    first, second = lab.servers[0].members[:2]
    member = run("list", f"xenserver://root@{second}", *pin, "--option", "emergency=yes")
    assert member.returncode == 5
    assert member.stdout == ""
    assert "isn't in emergency mode" in member.stderr
    assert f"master is {first.rpartition(':')[0]}" in member.stderr
    master = run("list", url, *pin, "--option", "emergency=yes", "--json")
    assert master.returncode == 1
    assert json.loads(master.stdout) == []
    assert "isn't in emergency mode" in master.stderr
    assert "It is the master of its pool." in master.stderr


def test_watching_outlasts_a_pool_without_master(environment, pin, lab):
    member = lab.servers[0].members[1]
    network = "{}:{}".format(*lab.network)
    lab.fail_master()
    words = ["watch", f"xenserver://root@{member}", "ci-runner-1", "--json", "--lab-network", network, *pin, *FAST]
    with started(words, environment) as watch:
        told = watch.until(lambda line: line["event"] == "emergency")
        assert "lost its pool's master" in told["detail"]
        become_master = [sys.executable, "-m", "hvconsole", "run", "become-master", f"xenserver://root@{member}", *pin]
        subprocess.run(become_master, env=environment, check=True, timeout=LIMIT_S, capture_output=True)
        watch.until(lambda line: line["event"] == "state" and line["state"] == "up")
        assert watch.end(signal.SIGINT)[0] == 0


def assert_no_child_knows(pid, secret):
    """The pinging child has the password neither in its arguments nor in its environment."""
    everyone = [p for task in Path(f"/proc/{pid}/task").iterdir() for p in (task / "children").read_text().split()]
    assert everyone
    for child in everyone:
        for name in ("cmdline", "environ"):
            assert secret.encode() not in Path(f"/proc/{child}/{name}").read_bytes()
    assert secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_pulled_cable_makes_one_snapshot_and_its_story_as_lines(environment, run, url, pin, lab):
    uuid = vms(run, url, pin)["web-01"]["uuid"]
    network = "{}:{}".format(*lab.network)
    words = ["watch", url, uuid, "web-02", "--json", "--lab-network", network, *pin, *FAST]
    with started(words, environment) as watch:
        watch.until(up(uuid))
        assert_no_child_knows(watch.process.pid, environment["HVCONSOLE_PASSWORD"])
        lab.pull_cable(uuid)
        assert watch.until(event("outage"))["vm"] == uuid
        taken = watch.until(event("snapshot"))
        assert taken["snapshot"].startswith("Network_Down")
        lab.plug_cable(uuid)
        down = len(watch.seen)
        assert watch.until(event("recovered"))["seconds"] >= 0
        assert watch.until(up(uuid), after=down)["name"] == "web-01"
        code, errors = watch.end(signal.SIGINT)
    assert code == 0
    assert errors == ""
    assert all({"time", "vm", "event"} <= set(line) for line in watch.seen)
    rounds = [line for line in watch.seen if line["event"] == "round" and line["vm"] == uuid]
    assert {"ok", "lost"} <= {line["result"] for line in rounds}
    assert not [line for line in watch.seen if line["vm"] == "web-02" and line["event"] not in ("state", "round")]
    automatic = [s for s in vms(run, url, pin)["web-01"]["snapshots"] if s["automatic"]]
    assert [s["name"] for s in automatic] == [taken["snapshot"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_its_output_does_not_end_the_monitor(environment, run, url, pin, lab):
    before = vms(run, url, pin)["web-02"]
    network = "{}:{}".format(*lab.network)
    words = ["watch", url, "web-02", "--json", "--lab-network", network, "--preset", "classic-2012", *pin, *FAST]
    with Path("/dev/full").open("w") as full:
        watch = subprocess.Popen(
            [sys.executable, "-m", "hvconsole", *words],
            env=environment, stdout=full, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        assert watch.stderr.readline() == "The output can't be written.\n"
        assert "No space left" in watch.stderr.readline()
        assert watch.stderr.readline() == "Monitoring goes on.\n"
        lab.pull_cable(before["uuid"])
        end = SystemClock().monotonic() + LIMIT_S
        while not vms(run, url, pin)["web-02"]["snapshots"]:
            assert SystemClock().monotonic() < end
            assert watch.poll() is None
    finally:
        watch.terminate()
        errors = watch.communicate(timeout=LIMIT_S)[1]
    assert (watch.returncode, errors) == (0, "")


def test_killed_in_the_middle_of_an_outage_it_neither_loses_nor_repeats_the_snapshot(environment, run, url, pin, lab):
    network = "{}:{}".format(*lab.network)
    words = ["watch", url, "web-01", "--json", "--lab-network", network, *pin, *FAST]
    uuid = vms(run, url, pin)["web-01"]["uuid"]
    before = len(vms(run, url, pin)["web-01"]["snapshots"])
    with started(words, environment) as watch:
        watch.until(up("web-01"))
        lab.pull_cable(uuid)
        watch.until(event("outage"))
        watch.end(signal.SIGKILL)
    with started(words, environment) as watch:
        watch.until(lambda line: line["event"] in ("snapshot", "round"))
        lab.plug_cable(uuid)
        watch.until(up("web-01"))
        code, _errors = watch.end(signal.SIGTERM)
    assert code == 0
    snapshots = vms(run, url, pin)["web-01"]["snapshots"]
    assert len(snapshots) == before + 1
    assert sum(s["automatic"] for s in snapshots) == 1


def test_the_lab_command_says_how_to_reach_it_and_ends_on_request(environment, tmp_path):
    for number in (signal.SIGINT, signal.SIGTERM):
        with started(["lab", "--quick"], environment) as lab:
            told = json.loads(lab.lines.get(timeout=LIMIT_S))
            server = next(s for s in told["servers"] if s["platform"] == "xenserver")
            assert server["fingerprint"] == server["sha256"]
            assert server["url"].startswith(f"xenserver://{server['user']}@")
            done = subprocess.run(
                [sys.executable, "-m", "hvconsole", "list", server["url"], "--fingerprint", server["sha256"]],
                env={**environment, "HVCONSOLE_PASSWORD": server["password"]}, capture_output=True, text=True,
                timeout=LIMIT_S, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            code, errors = lab.end(number)
        assert (code, errors) == (0, "")


def test_hosts_take_clear_text_when_the_lab_is_told_so(environment):
    with started(["lab", "--quick", "--allow-unencrypted"], environment) as lab:
        shown = json.loads(lab.lines.get(timeout=LIMIT_S))
        host = next(server for server in shown["servers"] if server["platform"] == "hyperv")
        place = host["other_urls"][0].rpartition("@")[2]
        secret = base64.b64encode(f"{host['user']}:{host['password']}".encode()).decode()
        connection = http.client.HTTPConnection(place, timeout=LIMIT_S)
        identify = (
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><i:Identify xmlns:i="'
            'http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"/></s:Body></s:Envelope>'
        )
        connection.request("POST", "/wsman", identify, {"Authorization": f"Basic {secret}"})
        assert b"Microsoft Corporation" in connection.getresponse().read()
        connection.close()


def test_a_lab_of_any_size_and_a_missing_dump(environment, run):
    with started(["lab", "--vms", "123"], environment) as lab:
        told = json.loads(lab.lines.get(timeout=LIMIT_S))
        server = told["servers"][0]
        rows = vms(
            lambda *words: run(*words, HVCONSOLE_PASSWORD=server["password"]),
            server["url"], ("--fingerprint", server["sha256"]),
        )  # fmt: skip
        assert len(rows) == 123
    missing = run("lab", "--xapi-db", "/nonexistent/state.db")
    assert missing.returncode == 1
    assert "can't be started" in missing.stderr


def test_no_secret_is_anywhere_on_disk_or_in_the_arguments(environment, run, url, pin, lab, tmp_path):
    canary = "cAnArY-%41<&>ä"
    run("list", url, *pin, HVCONSOLE_PASSWORD=canary)
    run("run", "start", url, "web-01", *pin, HVCONSOLE_PASSWORD=canary)
    assert run("run", "change-password", url, *pin, HVCONSOLE_NEW_PASSWORD=canary).returncode == 0
    done = run("list", url, *pin, "-v", HVCONSOLE_PASSWORD=canary)
    assert done.returncode == 0, done.stderr
    output = (done.stdout + done.stderr).encode()
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"history.db"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    for shape in shapes_of(canary, lab.servers[0].user):
        assert shape not in output
        for path in files:
            assert shape not in path.read_bytes(), path


def shapes_of(secret, user):
    """The forms in which a password could be written down by accident."""
    plain, wide, login = secret.encode(), secret.encode("utf-16-le"), f"{user}:{secret}".encode()
    return [
        plain, wide, secret.encode("latin-1"), base64.b64encode(plain), base64.b64encode(wide), base64.b64encode(login),
        quote(secret).encode(), escape(secret).encode(), json.dumps(secret)[1:-1].encode(), plain.hex().encode(),
        b"cAnArY", "cAnArY".encode("utf-16-le"),
    ]  # fmt: skip


def test_a_vcenter_moves_disks_and_converts_templates_from_the_command_line(environment, run, lab_identity):
    vcenter = Lab(kinds=("vsphere",), identity=lab_identity)
    vcenter.start()
    try:
        site = next(server for server in vcenter.servers if server.name == "Meridian vCenter")

        def done(operation, *words):
            pinned = (*words, "--fingerprint", site.sha256)
            made = run("run", operation, site.url, *pinned, HVCONSOLE_PASSWORD=site.password)
            return made.returncode, made.stdout + made.stderr

        assert done("migrate", "shop-01", "--storage", "nfs-archive")[0] == 0
        code, said = done("migrate", "shop-01", "--storage", "nfs-archive")
        assert (code, "already" in said) == (1, True)
        code, said = done("migrate", "shop-01", "--host", "esx-edge.lab", "--storage", "san-01", "--json")
        assert (code, json.loads(said)["outcome"]) == (0, "done")
        assert done("to-vm", "sandbox-zh") == (1, "sandbox-zh: It is no template.\n")
        assert done("to-template", "sandbox-zh")[0] == 0
        assert done("to-vm", "sandbox-zh")[0] == 0
        code, said = done("unregister", "sandbox-zh")
        assert (code, "Delete" in said) == (1, True)
    finally:
        vcenter.stop()


def watching_words(lab, url, pin):
    network = "{}:{}".format(*lab.network)
    return ["watch", url, "web-01", "--json", "--lab-network", network, *pin, *FAST]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs terminals that hang up")
def test_a_terminal_that_is_closed_ends_the_monitor_in_order(environment, url, pin, lab):
    with started(watching_words(lab, url, pin), environment) as watch:
        watch.until(up("web-01"))
        assert watch.end(signal.SIGHUP) == (0, "")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs terminals that hang up")
def test_a_monitor_under_nohup_outlasts_its_terminal(environment, url, pin, lab):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; the command inherits it
    try:
        with started(watching_words(lab, url, pin), environment) as watch:
            watch.until(up("web-01"))
            watch.process.send_signal(signal.SIGHUP)
            count = len(watch.seen)
            watch.until(event("round"), after=count)
            assert watch.end(signal.SIGTERM) == (0, "")
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_monitor_whose_password_no_longer_works_says_so_and_ends(environment, run, url, pin, lab):
    with started(watching_words(lab, url, pin), environment) as watch:
        watch.until(up("web-01"))
        assert run("run", "change-password", url, *pin, HVCONSOLE_NEW_PASSWORD="brand new").returncode == 0
        lab.site_servers[0].pool.sessions.expire_all()
        assert watch.process.wait(LIMIT_S) == 4
        code, errors = watch.end(signal.SIGTERM)
    assert code == 4
    assert "password" in errors
    assert "Traceback" not in errors


def test_ctrl_c_ends_a_list_at_once_though_a_server_says_nothing(environment, pin):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"xenserver://root@127.0.0.1:{silent.getsockname()[1]}"
        with started(["list", server, *pin], environment) as listing:
            silent.settimeout(LIMIT_S)
            connection, _ = silent.accept()
            begun = SystemClock().monotonic()
            assert listing.end(signal.SIGINT) == (130, "")
            # The handshake alone would be waited for longer.
            assert SystemClock().monotonic() - begun < 3
            connection.close()
