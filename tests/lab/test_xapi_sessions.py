"""Logging in, being sent to the master, and what is left when the master is dead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from hvconsole.lab import Lab
from tests.lab.conftest import Clients, fail_master, failure, site_server


def test_a_wrong_password_is_refused(clients: Clients) -> None:
    session = clients.session(login=False)
    details = failure(session.xenapi.login_with_password, "root", "wrong", "1.0", "tests")
    assert details == ["SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure"]


def test_a_member_redirects_even_with_a_wrong_password(clients: Clients) -> None:
    for number in (1, 2):
        session = clients.session(number, login=False)
        assert failure(session.xenapi.login_with_password, "root", "wrong") == ["HOST_IS_SLAVE", "127.0.0.1"]


def test_logging_out_ends_the_session(clients: Clients) -> None:
    session = clients.session()
    ref = session._session
    session.xenapi.session.logout()
    other = clients.session(login=False)
    other._session = ref
    reply = other.VM.get_all(ref)
    assert reply == {"Status": "Failure", "ErrorDescription": ["SESSION_INVALID", ref]}


def test_expired_sessions_are_logged_in_again_by_the_client(lab: Lab, api: Any) -> None:
    before = len(api.VM.get_all())
    site_server(lab).pool.sessions.expire_all()
    assert len(api.VM.get_all()) == before


def test_idle_sessions_end(lab: Lab, clients: Clients) -> None:
    session = clients.session()
    site_server(lab).pool.sessions.idle_limit_s = -1.0
    reply = session.VM.get_all(session._session)
    assert reply["ErrorDescription"][0] == "SESSION_INVALID"


def test_each_originator_has_its_own_limit(lab: Lab, clients: Clients) -> None:
    sessions = site_server(lab).pool.sessions
    mine = clients.session()
    first = sessions.open("root", "leaky")
    for _ in range(500):
        sessions.open("root", "leaky")
    assert sessions.find(first.ref) is None
    assert sessions.find(mine._session) is not None


def test_a_session_of_the_pool_is_redirected_by_a_member(clients: Clients) -> None:
    master = clients.session()
    member = clients.session(1, login=False)
    reply = member.VM.get_all(master._session)
    assert reply["ErrorDescription"] == ["HOST_IS_SLAVE", "127.0.0.1"]


def test_a_healthy_member_allows_a_local_login(lab: Lab, clients: Clients) -> None:
    member = clients.session(1, login=False)
    member.slave_local_login_with_password("root", lab.servers[0].password)
    assert member.xenapi.host.is_in_emergency_mode() is False
    assert len(member.xenapi.host.get_all()) == 3
    elsewhere = clients.session(2, login=False)
    assert elsewhere.VM.get_all(member._session)["ErrorDescription"][0] == "SESSION_INVALID"


def test_without_its_master_a_member_allows_only_emergency_calls(lab: Lab, clients: Clients) -> None:
    members = lab.servers[0].members
    fail_master(lab)
    assert lab.servers[0].members == members
    second = clients.session(1, login=False)
    assert failure(second.xenapi.login_with_password, "root", "x") == ["HOST_STILL_BOOTING"]
    second.slave_local_login_with_password("root", lab.servers[0].password)
    assert second.xenapi.host.is_in_emergency_mode() is True
    assert failure(second.xenapi.host.get_all) == ["HOST_STILL_BOOTING"]
    assert failure(second.xenapi.pool.get_all) == ["HOST_STILL_BOOTING"]

    second.xenapi.pool.emergency_transition_to_master()
    assert lab.servers[0].members[0] == members[1]
    normal = clients.session()
    assert normal.xenapi.host.get_address(normal.xenapi.pool.get_all_records().popitem()[1]["master"]) == "127.0.0.2"
    third = clients.session(2, login=False)
    third.slave_local_login_with_password("root", lab.servers[0].password)
    assert third.xenapi.host.is_in_emergency_mode() is True
    assert len(normal.xenapi.pool.recover_slaves()) == 1
    assert third.xenapi.host.is_in_emergency_mode() is False


def test_a_member_can_be_pointed_to_another_master(lab: Lab, clients: Clients) -> None:
    fail_master(lab)
    password = lab.servers[0].password
    second, third = clients.session(1, login=False), clients.session(2, login=False)
    second.slave_local_login_with_password("root", password)
    third.slave_local_login_with_password("root", password)
    second.xenapi.pool.emergency_transition_to_master()
    assert failure(third.xenapi.pool.emergency_reset_master, "192.0.2.1")[0] == "HOST_MASTER_CANNOT_TALK_BACK"
    third.xenapi.pool.emergency_reset_master("127.0.0.2")
    assert third.xenapi.host.is_in_emergency_mode() is False
    again = clients.session(2, login=False)
    assert failure(again.xenapi.login_with_password, "root", password) == ["HOST_IS_SLAVE", "127.0.0.2"]


def test_the_old_master_comes_back_as_a_member(lab: Lab, clients: Clients) -> None:
    old = fail_master(lab)
    second = clients.session(1, login=False)
    second.slave_local_login_with_password("root", lab.servers[0].password)
    second.xenapi.pool.emergency_transition_to_master()
    lab.repair_host(old)
    assert site_server(lab).wait_listening(old, listening=True, timeout_s=10)
    assert lab.servers[0].members[0].startswith("127.0.0.2:")
    returned = clients.session(1, login=False)
    assert failure(returned.xenapi.login_with_password, "root", "x") == ["HOST_IS_SLAVE", "127.0.0.2"]


def test_a_repaired_master_ends_the_emergency(lab: Lab, clients: Clients) -> None:
    fail_master(lab)
    member = clients.session(1, login=False)
    member.slave_local_login_with_password("root", lab.servers[0].password)
    assert member.xenapi.host.is_in_emergency_mode() is True
    lab.repair_master()
    assert member.xenapi.host.is_in_emergency_mode() is False


def test_the_root_password_changes_for_all(lab: Lab, clients: Clients) -> None:
    session = clients.session()
    old = lab.servers[0].password
    assert failure(session.xenapi.session.change_password, "wrong", "new")[0] == "CHANGE_PASSWORD_REJECTED"
    session.xenapi.session.change_password(old, "brand new")
    assert lab.servers[0].password == "brand new"
    fresh = clients.session(login=False)
    assert failure(fresh.xenapi.login_with_password, "root", old)[0] == "SESSION_AUTHENTICATION_FAILED"
    fresh.xenapi.login_with_password("root", "brand new")


def test_restarting_the_toolstack_forgets_sessions_and_tasks(
    lab: Lab, clients: Clients, ref_of: Callable[[str], str]
) -> None:
    session = clients.session()
    task = session.xenapi.Async.VM.pause(ref_of("web-01"))
    ref = session._session
    site_server(lab).pool.restart_toolstack()
    assert session.VM.get_all(ref)["ErrorDescription"] == ["SESSION_INVALID", ref]
    assert failure(session.xenapi.task.get_status, task)[0] == "HANDLE_INVALID"


def test_eight_threads_on_one_handle(clients: Clients) -> None:
    """Shared handle, private connections: how a client is meant to work."""
    first = clients.session()
    errors: list[Exception] = []

    def work() -> None:
        session = clients.session(login=False)
        session._session = first._session
        try:
            for _ in range(10):
                assert len(session.xenapi.VM.get_all()) > 40
        except Exception as error:  # noqa: BLE001 - carried to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors


def test_the_master_reboots_and_forgets_its_sessions(lab: Lab, clients: Clients) -> None:
    session = clients.session()
    api = session.xenapi
    for vm in lab.world.vms_on(lab.world.sites[next(iter(lab.world.sites))].master_id or ""):
        vm.blocked.clear()
        api.VM.hard_shutdown(api.VM.get_by_uuid(vm.id))
    master = api.host.get_by_name_label("xen-basel-1")[0]
    uuid, ref = api.host.get_uuid(master), session._session
    api.host.disable(master)
    api.host.reboot(master)
    assert site_server(lab).wait_listening(uuid, listening=False, timeout_s=10)
    assert site_server(lab).wait_listening(uuid, listening=True, timeout_s=10)
    fresh = clients.session()
    assert fresh.VM.get_all(ref)["ErrorDescription"] == ["SESSION_INVALID", ref]
    assert fresh.xenapi.host.get_enabled(master) is True
