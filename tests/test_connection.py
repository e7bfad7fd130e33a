"""A connection's life, told with a server that the test scripts step by step."""

import queue
import threading
from dataclasses import replace

import pytest

from hvconsole.backends.base import Capability, Hypervisor, Secret, Target, VmDetails
from hvconsole.clock import SystemClock
from hvconsole.connection import Connection, Connections
from hvconsole.errors import AuthError, EmergencyMode, HostIsSlave, LocalError, Refused, SessionLost, Unreachable
from hvconsole.events import ConnectionChanged, ConnectionState, Hub, InventoryChanged, JobState
from hvconsole.model import Emergency, Host, Inventory, ObjectId, PowerState, ServerInfo, Verb, Vm
from hvconsole.profiles import new_profile
from hvconsole.trust import PinStore

WEB = ObjectId("vm-1")
INFO = ServerInfo(platform="xenserver", product="XCP-ng", version="8.3", address="pool", port=443, user="root")


def inventory(power: PowerState = PowerState.RUNNING, **refusals: str) -> Inventory:
    web = Vm(id=WEB, uuid="u", name="web", power=power, refusals={Verb(k): v for k, v in refusals.items()})
    host = Host(id=ObjectId("h"), uuid="h", name="node", address="10.0.0.9")
    return Inventory(server=INFO, taken=SystemClock().now(), hosts={host.id: host}, vms={WEB: web})


class ScriptedServer(Hypervisor):
    """What ``watch`` says next comes from a queue: an inventory, None, or an error to raise."""

    info = INFO
    capabilities = Capability.SUSPEND

    def __init__(self) -> None:
        self.says: queue.Queue[object] = queue.Queue()
        self.suspended: list[ObjectId] = []
        self.refreshed = self.nudged = 0
        self.closed = threading.Event()

    def watch(self, timeout_s):
        said = self.says.get(timeout=10)
        if isinstance(said, Exception):
            raise said
        return said

    def close(self):
        self.closed.set()
        self.says.put(SessionLost("closed"))

    def suspend(self, vm_id, ctx):
        self.suspended.append(vm_id)

    def refresh(self):
        self.refreshed += 1

    def nudge(self):
        self.nudged += 1

    def details(self, vm_id):
        return VmDetails(vm_id=vm_id)

    start = shutdown = power_off = reboot = reset = delete_vm = rename = host_info = None


class ImpatientClock(SystemClock):
    """Back-off waits are remembered and cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []
        self.jump_s = 0.0
        self.meanwhile = lambda: None

    def monotonic(self):
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return super().monotonic() + self.jump_s

    def wait(self, stop, seconds):
        self.waited.append(seconds)
        return stop.is_set()


class Story:
    """A connection to servers that come one after the other, with every state it went through."""

    def __init__(self, *servers: object) -> None:
        self.hub, self.clock = Hub(), ImpatientClock()
        self.servers = list(servers)
        self.targets: list[Target] = []
        self.states: queue.Queue[ConnectionState] = queue.Queue()
        self.inventories: queue.Queue[InventoryChanged] = queue.Queue()
        self.members: list[tuple[str, ...]] = []
        self.hub.subscribe(ConnectionChanged, lambda event: self.states.put(event.state))
        self.hub.subscribe(InventoryChanged, self.inventories.put)
        self.connection = Connection(
            new_profile("xenserver", "pool"),
            PinStore(),
            self.hub,
            self.clock,
            opener=self.open,
            on_members=self.learn,
        )
        self.meanwhile = lambda: None
        self.while_logging_in = lambda: None
        self.password = "pw"

    def learn(self, _id, members) -> None:
        self.members.append(members)
        self.meanwhile()

    def open(self, target, secret, trust, clock):
        assert secret.password == self.password
        self.targets.append(target)
        server = self.servers.pop(0)
        self.while_logging_in()
        if isinstance(server, Exception):
            raise server
        return server

    def connect(self) -> None:
        self.connection.connect(Secret(password="pw"))

    def settle(self, watching: int = 0) -> None:
        """Wait until only so many of the connection's threads run."""
        pause, tries = threading.Event(), 500
        while len(self.connection.alive()) > watching and tries:
            tries -= 1
            pause.wait(0.01)
        assert len(self.connection.alive()) == watching

    def expect(self, *states: ConnectionState) -> None:
        for state in states:
            assert self.states.get(timeout=5) is state


@pytest.fixture
def tell():
    stories: list[Story] = []

    def start(*servers: object) -> Story:
        story = Story(*servers)
        stories.append(story)
        return story

    yield start
    for story in stories:
        story.connection.close()
    for story in stories:
        pause, tries = threading.Event(), 500
        while story.connection.alive() and tries:
            tries -= 1
            pause.wait(0.01)
        assert story.connection.alive() == ()


S = ConnectionState


def test_the_inventory_arrives_and_is_announced(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    story.inventories.get(timeout=5)
    assert story.connection.inventory.vms[WEB].name == "web"
    assert story.connection.inventory_age_s < 60
    assert story.members == [("10.0.0.9",)]
    assert "pw" not in repr(vars(story.connection))


def test_only_what_can_be_an_address_is_remembered_of_a_pool(tell):
    odd = ["", "\ud800", "a b", "root@10.0.0.3", "10.0.0.4:22", "x" * 100_000]
    odd += [f"10.1.{n // 250}.{n % 250}" for n in range(5000)]
    hosts = {f"h{n}": Host(id=ObjectId(f"h{n}"), uuid="h", name="node", address=text) for n, text in enumerate(odd)}
    server = ScriptedServer()
    server.says.put(replace(inventory(), hosts=hosts))
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    ((first, *rest),) = story.members
    assert first == "10.1.0.0"
    assert len(rest) == 63


def test_a_wrong_password_stops_and_waits_for_the_user(tell):
    story = tell(AuthError("no"))
    story.connect()
    story.expect(S.CONNECTING, S.FAILED)
    assert isinstance(story.connection.error, AuthError)
    assert story.clock.waited == []


def test_a_lost_server_is_tried_again_with_growing_pauses_and_its_inventory_stays(tell):
    first, second = ScriptedServer(), ScriptedServer()
    first.says.put(inventory())
    first.says.put(SessionLost("gone"))
    second.says.put(inventory(PowerState.HALTED))
    story = tell(first, Unreachable("a"), Unreachable("b"), second)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED, S.RECONNECTING, S.RECONNECTING, S.RECONNECTING, S.CONNECTED)
    story.inventories.get(timeout=5)
    story.inventories.get(timeout=5)
    assert first.closed.is_set()
    assert story.connection.inventory.vms[WEB].power is PowerState.HALTED
    pauses = story.clock.waited
    assert 0.8 <= pauses[0] <= 1.2
    assert 1.6 <= pauses[1] <= 2.4
    assert 3.2 <= pauses[2] <= 4.8


def test_the_pauses_between_two_tries_stay_below_a_minute_or_so(tell):
    story = tell(*[Unreachable("away") for _ in range(12)], ScriptedServer())
    story.servers[-1].says.put(inventory())
    story.connect()
    story.expect(S.CONNECTING, *[S.RECONNECTING] * 12, S.CONNECTED)
    assert 48 <= max(story.clock.waited) <= 72


def test_a_server_that_went_silent_was_not_alive_until_now(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server, Unreachable("away"), Unreachable("away"))
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    story.inventories.get(timeout=5)
    story.clock.jump_s = 600.0
    server.says.put(SessionLost("silent for long"))
    story.expect(S.RECONNECTING)
    assert story.connection.inventory_age_s >= 600


def test_members_are_told_when_they_change_only(tell):
    server = ScriptedServer()
    story = tell(server)
    for _ in range(3):
        server.says.put(inventory())
    story.connect()
    for _ in range(3):
        story.inventories.get(timeout=5)
    assert story.members == [("10.0.0.9",)]


def test_a_password_changed_through_the_console_is_the_one_for_the_next_login(tell):
    first, again = ScriptedServer(), ScriptedServer()
    first.capabilities = Capability.CHANGE_PASSWORD
    first.change_password = lambda old, new, ctx: None
    first.says.put(inventory())
    again.says.put(inventory())
    story = tell(first, again)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    passwords = {"old": Secret(password="pw"), "new": Secret(password="brand new")}
    assert story.connection.submit(Verb.CHANGE_PASSWORD, ObjectId(""), passwords).finished.wait(5)
    story.password = "brand new"
    story.connection.connect()
    story.expect(S.CONNECTING, S.CONNECTED)


def test_nothing_can_be_done_with_a_server_that_is_away(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server, Unreachable("away"))
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    assert Capability.SUSPEND in story.connection.capabilities
    assert story.connection.why_not(Verb.SUSPEND, WEB) is None
    story.connection.disconnect()
    assert story.connection.capabilities is Capability.NONE
    assert story.connection.why_not(Verb.SUSPEND, WEB) == "Not connected to pool."


def test_a_login_that_ends_after_the_user_disconnected_is_logged_out_again(tell):
    server = ScriptedServer()
    story = tell(server)
    story.while_logging_in = story.connection.disconnect
    story.connect()
    story.expect(S.CONNECTING, S.CLOSED)
    assert server.closed.wait(5)
    story.settle()
    assert story.states.empty()


def test_a_question_that_is_not_asked_any_more_gets_no_answer(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    story.connection.close()
    answers = []
    story.connection.ask(lambda hv: hv.details(WEB), answers.append)
    story.settle()
    assert answers == []


def test_a_pool_without_master_is_tried_until_the_master_is_back(tell):
    first, later = ScriptedServer(), ScriptedServer()
    first.says.put(inventory())
    first.says.put(SessionLost("gone"))
    later.says.put(inventory())
    story = tell(first, EmergencyMode("no master"), HostIsSlave("elsewhere", master_address="10.0.0.7"), later)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED, S.RECONNECTING, S.RECONNECTING, S.RECONNECTING, S.CONNECTED)


def test_a_refused_password_stops_even_a_server_that_was_there_before(tell):
    first = ScriptedServer()
    first.says.put(inventory())
    first.says.put(SessionLost("gone"))
    story = tell(first, AuthError("changed"))
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED, S.RECONNECTING, S.FAILED)


def test_a_broken_connection_was_alive_until_it_broke(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server, AuthError("stop here"))
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    story.clock.jump_s = 20.0
    server.says.put(SessionLost("reset"))
    story.expect(S.RECONNECTING)
    assert story.connection.inventory_age_s < 5


def test_a_missing_password_is_shown_as_something_to_do(tell):
    story = tell()
    story.connection.ask_for_password("Sign in to connect.")
    story.expect(S.FAILED)
    assert story.connection.error.user_text == "Sign in to connect."


def test_an_operation_runs_and_the_server_is_asked_to_look_soon(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    job = story.connection.submit(Verb.SUSPEND, WEB)
    assert job.finished.wait(5)
    assert (job.view.state, job.view.subject, server.suspended, server.nudged) == (JobState.DONE, "web", [WEB], 1)


def test_an_automatic_snapshot_never_waits_behind_long_jobs(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    release = threading.Event()
    long = [story.connection.call(lambda hv, ctx: release.wait(10), "Export") for _ in range(4)]
    urgent = story.connection.submit(Verb.SUSPEND, WEB, by="monitor")
    assert urgent.finished.wait(5)
    assert {job.view.id for job in story.connection.open_jobs()} == {job.view.id for job in long}
    release.set()
    assert all(job.finished.wait(5) for job in long)


def test_the_look_before_an_automatic_snapshot_never_waits_behind_what_the_window_reads(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    release = threading.Event()
    answers: queue.Queue[object] = queue.Queue()
    for _ in range(5):
        story.connection.ask(lambda hv: release.wait(10), lambda answer: None)
    story.connection.ask(lambda hv: "nothing there", answers.put, by="monitor")
    assert answers.get(timeout=5) == "nothing there"
    release.set()


def test_three_automatic_snapshots_are_taken_at_once_while_an_old_one_is_being_removed(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    together = threading.Barrier(4, timeout=5)
    jobs = [story.connection.call(lambda hv, ctx: together.wait(), "Snapshot", by="monitor") for _ in range(4)]
    assert all(job.finished.wait(5) for job in jobs)
    assert [job.view.state for job in jobs] == [JobState.DONE] * 4


def test_a_disconnect_while_the_inventory_arrives_stays_a_disconnect(tell):
    server = ScriptedServer()
    story = tell(server)
    story.meanwhile = story.connection.disconnect
    server.says.put(inventory())
    story.connect()
    story.expect(S.CONNECTING, S.CLOSED)
    assert server.closed.wait(5)
    story.settle()
    assert story.connection.state is S.CLOSED
    assert story.states.empty()


def test_a_session_that_ends_late_leaves_the_new_one_alone(tell):
    old, new = ScriptedServer(), ScriptedServer()
    old.says.put(inventory())
    new.says.put(inventory())
    story = tell(old, new)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    story.inventories.get(timeout=5)
    # The old session's connection breaks, and before its thread can say so the user has signed in again.
    signed_in = threading.Event()

    def sign_in():
        story.connect()
        story.expect(S.CONNECTING, S.CONNECTED)
        signed_in.set()

    story.clock.meanwhile = sign_in
    old.says.put(SessionLost("cut"))
    assert signed_in.wait(5)
    story.settle(1)
    assert not new.closed.is_set()
    assert story.connection.state is S.CONNECTED


def test_what_the_inventory_refuses_never_reaches_the_server_unless_insisted(tell):
    server = ScriptedServer()
    server.says.put(inventory(suspend="No tools."))
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    assert story.connection.why_not(Verb.SUSPEND, WEB) == "No tools."
    refused = story.connection.submit(Verb.SUSPEND, WEB)
    assert refused.finished.wait(5)
    assert isinstance(refused.view.error, Refused)
    assert refused.view.error.user_text == "No tools."
    assert server.suspended == []
    insisted = story.connection.submit(Verb.SUSPEND, WEB, insist=True)
    assert insisted.finished.wait(5)
    assert server.suspended == [WEB]


def test_reads_are_answered_and_fail_plainly_when_the_server_is_away(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server)
    answers: queue.Queue[object] = queue.Queue()
    story.connection.ask(lambda hv: hv.details(WEB), answers.put)
    assert isinstance(answers.get(timeout=5), Unreachable)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    story.connection.ask(lambda hv: hv.details(WEB), answers.put)
    assert answers.get(timeout=5) == VmDetails(vm_id=WEB)
    assert story.connection.why_not(Verb.PAUSE, WEB) == "XCP-ng doesn't offer this here."


def test_disconnecting_logs_out_and_keeps_the_last_inventory(tell):
    server = ScriptedServer()
    server.says.put(inventory())
    story = tell(server)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    story.inventories.get(timeout=5)
    story.connection.refresh()
    story.connection.disconnect()
    story.expect(S.CLOSED)
    assert server.closed.wait(5)
    assert server.refreshed == 1
    assert story.connection.inventory is not None
    assert story.connection.capabilities is Capability.NONE
    assert story.connection.why_not(Verb.SUSPEND, WEB) == "Not connected to pool."


def test_connecting_without_any_password_says_so(tell):
    with pytest.raises(LocalError, match="password"):
        tell().connection.connect()


def test_our_own_defect_is_shown_and_the_server_tried_again(tell):
    good = ScriptedServer()
    good.says.put(inventory())
    broken = ScriptedServer()
    broken.says.put(ZeroDivisionError())
    story = tell(broken, good)
    story.connect()
    story.expect(S.CONNECTING, S.RECONNECTING, S.CONNECTED)


def test_the_list_of_connections_announces_what_comes_and_goes():
    hub = Hub()
    seen: list[ConnectionState] = []
    hub.subscribe(ConnectionChanged, lambda event: seen.append(event.state))
    connections = Connections(PinStore(), hub, SystemClock())
    profile = new_profile("xenserver", "pool")
    connection = connections.add(profile)
    assert connections.all() == (connection,)
    assert connections.get(profile.id) is connection
    another = connections.add(profile)
    assert connections.all() == (another,)
    assert connection.call(lambda hv, ctx: None, "late").view.state is JobState.CANCELLED
    connections.remove(profile.id)
    assert connections.all() == ()
    assert seen[-1] is S.CLOSED
    assert connections.alive() == ()


def emergency(active: bool = True) -> Inventory:
    told = Emergency(host_address="10.0.0.2", in_emergency_mode=active)
    return Inventory(server=inventory().server, taken=SystemClock().now(), emergency=told)


def test_an_emergency_login_is_for_once_and_the_last_inventory_stays(tell):
    pool, member, again = ScriptedServer(), ScriptedServer(), ScriptedServer()
    pool.says.put(inventory())
    member.capabilities = Capability.EMERGENCY
    member.says.put(emergency())
    story = tell(pool, member, again)
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    before = story.connection.inventory
    story.connection.connect(emergency_at=("10.0.0.2", 443))
    story.expect(S.CONNECTING, S.EMERGENCY)
    assert story.targets[-1].addresses == (("10.0.0.2", 443),)
    assert story.targets[-1].options["emergency"] == "yes"
    assert story.connection.emergency.host_address == "10.0.0.2"
    assert story.connection.inventory is before
    assert not story.connection.connected
    assert story.connection.why_not(Verb.SUSPEND, WEB) == "In an emergency login only the recoveries work."
    assert story.connection.why_not(Verb.BECOME_MASTER, ObjectId("")) is None
    answers: queue.Queue[object] = queue.Queue()
    story.connection.ask(lambda hv: hv.details(WEB), answers.put)
    assert isinstance(answers.get(timeout=5), Unreachable)
    again.says.put(inventory(PowerState.HALTED))
    member.says.put(emergency(active=False))
    story.expect(S.RECONNECTING, S.CONNECTED)
    assert "emergency" not in story.targets[-1].options
    assert story.targets[-1].addresses == story.connection.profile.addresses
    assert story.connection.emergency is None
    assert story.connection.inventory.vms[WEB].power is PowerState.HALTED


def test_an_emergency_option_that_was_once_saved_is_not_used(tell):
    pool = ScriptedServer()
    pool.says.put(inventory())
    story = tell(pool)
    story.connection.profile = replace(story.connection.profile, options={"emergency": "yes", "legacy_tls": "yes"})
    story.connect()
    story.expect(S.CONNECTING, S.CONNECTED)
    assert story.targets[-1].options == {"legacy_tls": "yes"}
