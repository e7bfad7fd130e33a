"""What the connection doctor learns from a XenServer: who we are there, and whether its clock can be believed."""

import datetime as dt
from xmlrpc.client import DateTime

import pytest

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Secret
from hvconsole.backends.xen_diagnosis import checks
from hvconsole.clock import SystemClock
from hvconsole.errors import NotSupported
from hvconsole.profiles import parse_url
from hvconsole.trust import FixedPins, PinStore


class Answers:
    """A session that answers from a table; an exception in it is raised."""

    handle = "OpaqueRef:session"

    def __init__(self, **answers):
        now = SystemClock().now()
        self.answers = {
            "session_get_is_local_superuser": True,
            "session_get_this_host": "OpaqueRef:host",
            "host_get_servertime": DateTime(now.strftime("%Y%m%dT%H:%M:%SZ")),
            **answers,
        }

    def call(self, method, *params):
        answer = self.answers[method.replace(".", "_")]
        if isinstance(answer, Exception):
            raise answer
        return answer


def steps(**answers):
    return {step.name: step for step in checks(Answers(**answers), SystemClock())}


def test_root_may_do_everything_and_the_clocks_agree():
    found = steps()
    assert found["role"].ok
    assert found["clock"].ok
    assert not found["clock"].remedy


@pytest.mark.parametrize(
    ("permissions", "ok", "words"),
    [
        (["vm.start", "vm.snapshot", "pool.get_all"], True, "allows to work VMs"),
        (["VM.start", "VM.snapshot"], True, "allows to work VMs"),
        (["vm.start"], False, "take snapshots"),
        (["pool.get_all"], False, "start and stop VMs or to take snapshots"),
    ],
)
def test_what_a_role_lacks_is_named(permissions, ok, words):
    found = steps(session_get_is_local_superuser=False, session_get_rbac_permissions=permissions)
    assert found["role"].ok is ok
    assert words in found["role"].text
    assert bool(found["role"].remedy) is not ok


@pytest.mark.parametrize("permissions", [[], "", None, {"odd": 1}])
def test_a_server_that_knows_no_roles_is_passed_over(permissions):
    assert "role" not in steps(session_get_is_local_superuser=False, session_get_rbac_permissions=permissions)


def test_an_old_server_that_refuses_to_tell_is_no_failure():
    refusal = NotSupported("Unknown method.", "MESSAGE_METHOD_UNKNOWN")
    found = steps(session_get_is_local_superuser=refusal, host_get_servertime=refusal)
    assert found["role"].ok
    assert "clock" not in found


@pytest.mark.parametrize("seconds", [-3600, 3600, 100])
def test_clocks_that_differ_are_pointed_out(seconds):
    theirs = SystemClock().now() + dt.timedelta(seconds=seconds)
    found = steps(host_get_servertime=theirs.strftime("%Y%m%dT%H:%M:%SZ"))
    assert found["clock"].ok
    assert "NTP" in found["clock"].remedy


@pytest.mark.parametrize("nonsense", ["soon", 5, None, DateTime("19700101T00:00:00Z")])
def test_a_clock_that_cannot_be_read_is_passed_over(nonsense):
    assert "clock" not in steps(host_get_servertime=nonsense)


def test_the_lab_is_healthy(lab):
    server = lab.servers[0]
    profile = parse_url(server.url)
    trust = FixedPins({address: server.sha256 for address in profile.addresses}, PinStore())
    hypervisor = open_hypervisor(profile.target(), Secret(password=server.password), trust, SystemClock())
    try:
        found = {step.name: step for step in hypervisor.diagnose()}
    finally:
        hypervisor.close()
    assert found["role"].ok
    assert found["clock"].ok
    assert not found["clock"].remedy
