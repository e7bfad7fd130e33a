"""The lab as a whole: what it says about itself, and that it ends promptly and completely."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from typing import Any

import XenAPI

from hvconsole.lab import Lab
from hvconsole.lab.identity import make_identity
from hvconsole.lab.objects import HostState
from hvconsole.lab.sites import Identity
from hvconsole.lab.tasks import Timing
from tests.lab.conftest import Clients, fail_master, failure, site_server


def test_the_description_is_all_a_client_needs(lab: Lab) -> None:
    described = json.loads(json.dumps(lab.describe()))
    (server,) = described["servers"]
    assert server["platform"] == "xenserver"
    assert server["url"] == f"xenserver://root@{server['members'][0]}"
    assert server["password"] == lab.servers[0].password
    assert server["password"] not in repr(lab.servers[0])
    host, port = server["members"][0].split(":")
    pem = ssl.get_server_certificate((host, int(port)))
    assert make_fingerprint(pem) == server["sha256"] == server["fingerprint"]
    assert described["network"].startswith("127.0.0.1:")
    assert len({member.split(":")[1] for member in server["members"]}) == 1


def test_the_sealed_way_to_a_hyperv_host_is_told_too(lab_identity: Identity) -> None:
    with Lab(kinds=("hyperv",), identity=lab_identity) as lab:
        for server in lab.describe()["servers"]:
            assert server["url"].startswith("hyperv://Administrator@127.0.0.1:")
            (sealed,) = server["other_urls"]
            assert sealed.startswith("hyperv+http://Administrator@127.0.0.1:")


def make_fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def test_every_lab_has_a_certificate_of_its_own() -> None:
    assert make_identity().sha256 != make_identity().sha256


def test_stopping_is_prompt_and_leaves_no_thread(lab_identity: Identity) -> None:
    before = set(threading.enumerate())
    lab = Lab(identity=lab_identity, timing=Timing(snapshot=60.0, boot=60.0))
    lab.start()
    server = lab.servers[0]
    session = XenAPI.Session(f"https://{server.members[0]}", ignore_ssl=True)
    session.xenapi.login_with_password(server.user, server.password)
    vm = session.xenapi.VM.get_by_name_label("web-old")[0]
    session.xenapi.VM.start(vm, False, False)
    session.xenapi.Async.VM.snapshot(vm, "slow")
    other = XenAPI.Session(f"https://{server.members[0]}", ignore_ssl=True)
    other._session = session._session
    token = getattr(other.xenapi.event, "from")(["pif"], "", 1.0)["token"]
    ended: list[Any] = []

    def wait_for_nothing() -> None:
        try:
            ended.append(getattr(other.event, "from")(other._session, ["pif"], token, 600.0))
        except (OSError, ValueError) as error:
            ended.append(error)

    waiter = threading.Thread(target=wait_for_nothing)
    waiter.start()
    began = time.monotonic()
    lab.stop()
    assert time.monotonic() - began < 2.0
    waiter.join(5)
    assert ended
    for one in (session, other):
        one("close")()
    assert set(threading.enumerate()) - before == set()
    lab.stop()


def test_a_scaled_lab_serves(lab_identity: Identity) -> None:
    with Lab.scaled(300, identity=lab_identity) as lab:
        server = lab.servers[0]
        session = XenAPI.Session(f"https://{server.members[0]}", ignore_ssl=True)
        session.xenapi.login_with_password(server.user, server.password)
        assert len(server.members) == 2
        assert len(session.xenapi.VM.get_all()) == 302
        assert len(session.xenapi.VM_guest_metrics.get_all()) == 270
        session("close")()


def test_the_lab_menu_moves_hosts(lab: Lab, clients: Clients) -> None:
    world = lab.world
    master = fail_master(lab)
    assert world.host(master).state is HostState.FAILED
    lab.repair_master()
    assert site_server(lab).wait_listening(master, listening=True, timeout_s=10)
    assert world.host(master).state is HostState.UP
    third = next(host for host in world.hosts.values() if host.name == "xen-basel-3")
    api = clients.session().xenapi
    lab.fail_host(third.id)
    record = api.host_metrics.get_record(api.host.get_metrics(api.host.get_by_uuid(third.id)))
    assert record["live"] is False
    vm = api.VM.get_by_name_label("erp-test")[0]
    host = api.host.get_by_uuid(third.id)
    assert failure(api.VM.start_on, vm, host, False, False) == ["HOST_OFFLINE", host]
    lab.repair_host(third.id)
    api.VM.start_on(vm, host, False, False)
