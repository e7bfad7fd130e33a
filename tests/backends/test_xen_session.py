"""A login and its calls against a server that misbehaves: renewed once, sent once, and no secret in any error."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Secret
from hvconsole.backends.xen_bulk import BulkReader
from hvconsole.backends.xen_session import ORIGINATOR
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    AuthError,
    BadReply,
    Busy,
    CertificateError,
    EmergencyMode,
    HostIsSlave,
    HvError,
    InvalidInput,
    NotAHypervisor,
    OutcomeUnknown,
    SessionLost,
    Unreachable,
)

from .fake_xapi import PASSWORD, Drop, FakeXapi, Raw, Refuse, fake_xapi, pins, session_to, target
from .hostile import Pins, identity, raw, reply, serving


def log_in(server: Any, **fields: Any) -> Any:
    return open_hypervisor(target(server, **fields), Secret(password=PASSWORD), pins(server), SystemClock())


class TestLogin:
    def test_sends_user_password_and_originator(self) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:
            method, params = xapi.calls[0]
            assert method == "session.login_with_password"
            assert params[:2] == ("root", PASSWORD)
            assert params[3] == ORIGINATOR
            assert session.handle == "OpaqueRef:session1"

    @pytest.mark.parametrize("takes", [2, 3])
    def test_servers_older_than_the_originator(self, takes: int) -> None:
        """XenServer before 6.2 counts the parameters and refuses more of them."""
        with fake_xapi() as (xapi, server):

            def login(*params: Any) -> str:
                if len(params) != takes:
                    raise Refuse("MESSAGE_PARAMETER_COUNT_MISMATCH", "session.login_with_password", "3", "4")
                if params[1] != PASSWORD:
                    raise Refuse("SESSION_AUTHENTICATION_FAILED", "root", "no")
                return xapi._login(*params)

            xapi.methods["session.login_with_password"] = login
            with session_to(server) as session:
                assert session.handle == "OpaqueRef:session1"
                asked = xapi.count("session.login_with_password")
                session._renew(session.generation)
                assert xapi.count("session.login_with_password") == asked + 1

    def test_logs_out_at_the_end(self) -> None:
        with fake_xapi() as (xapi, server):
            with session_to(server):
                pass
            assert xapi.calls[-1] == ("session.logout", ("OpaqueRef:session1",))

    @pytest.mark.parametrize(
        ("details", "error"),
        [
            (["SESSION_AUTHENTICATION_FAILED", "root", "pam says no"], AuthError),
            (["HOST_IS_SLAVE", "10.0.0.5"], HostIsSlave),
            (["HOST_IS_SLAVE", "10.0.0.5/../evil@host"], BadReply),
            (["HOST_IS_SLAVE", "x" * 1_000_000], BadReply),
            (["HOST_IS_SLAVE"], BadReply),
            (["HOST_IS_SLAVE", "[fd00::5]"], HostIsSlave),
            (["HOST_IS_SLAVE", "fd00::5"], HostIsSlave),
            (["HOST_STILL_BOOTING"], Unreachable),
            (["HOST_HAS_NO_MANAGEMENT_IP"], EmergencyMode),
            (["HOST_MASTER_CANNOT_TALK_BACK", "10.0.0.5"], EmergencyMode),
            (["SESSION_INVALID", "x"], BadReply),
            ([], BadReply),
            ([{"a": 1}], BadReply),
            ("text", BadReply),
            ({"a": "b"}, BadReply),
        ],
    )
    def test_refusals(self, details: Any, error: type[HvError]) -> None:
        with fake_xapi() as (xapi, server):

            def refuse(*_params: Any) -> str:
                exc = Refuse()
                exc.details = details
                raise exc

            xapi.methods["session.login_with_password"] = refuse
            with pytest.raises(error) as caught:
                log_in(server)
            assert PASSWORD not in f"{caught.value!r}{caught.value.detail}"
            assert xapi.count("session.login_with_password") == 1

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            (b"<html><body>It works!</body></html>", (NotAHypervisor, BadReply)),
            (b"", NotAHypervisor),
            (b"\x00\x01\x02", (NotAHypervisor, BadReply)),
            (b"<?xml version='1.0'?><methodResponse><params><param><value>x</value></param></params>", NotAHypervisor),
            (b"<methodResponse><params><param><value>text</value></param></params></methodResponse>", NotAHypervisor),
            (b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", BadReply),
        ],
    )
    def test_other_kinds_of_server(self, body: bytes, error: type[HvError] | tuple[type[HvError], ...]) -> None:
        with fake_xapi() as (xapi, server):

            def answer(*_params: Any) -> str:
                raise Raw(body)

            xapi.methods["session.login_with_password"] = answer
            with pytest.raises(error):
                log_in(server)

    def test_http_error_page(self) -> None:
        with serving(reply(b"<html/>", status="404 Not Found"), identity=identity("xapi")) as server:
            with pytest.raises(NotAHypervisor):
                log_in(server)

    def test_impostor_gets_no_byte(self) -> None:
        with serving(reply(b""), identity=identity("impostor")) as server:
            trust = Pins((server.host, server.port, identity("xapi").sha256))
            with pytest.raises(CertificateError):
                open_hypervisor(target(server), Secret(password=PASSWORD), trust, SystemClock())
            assert bytes(server.received) == b""

    def test_password_that_cannot_be_sent(self) -> None:
        with fake_xapi() as (xapi, server):
            with pytest.raises(InvalidInput) as caught:
                open_hypervisor(target(server), Secret(password="cAnArY\x01"), pins(server), SystemClock())
            assert xapi.calls == []
            assert "cAnArY" not in str(caught.value)

    def test_host_record_that_an_unescaped_key_spoils_is_no_refusal(self) -> None:
        with fake_xapi() as (xapi, server):

            def record(*_params: Any) -> str:
                raise Raw(b"<methodResponse><params><param><value><struct><member><name>a&b</name>")

            xapi.methods |= {"session.get_this_host": lambda *_params: "host", "host.get_record": record}
            hv = open_hypervisor(target(server), Secret(password=PASSWORD), pins(server), SystemClock())
            assert hv.info.product == "XenServer"
            hv.close()

    def test_second_address_is_tried(self) -> None:
        with fake_xapi() as (xapi, server):
            two = target(server, known_members=())
            two = type(two)(platform="xenserver", addresses=((server.host, 1), (server.host, server.port)), user="root")
            hv = open_hypervisor(two, Secret(password=PASSWORD), pins(server), SystemClock())
            hv.close()
            assert xapi.logins == 1


class TestMaster:
    """What a member says about its master is followed only to addresses that were seen and accepted before."""

    def member_of(self, xapi: FakeXapi, master: str) -> None:
        def slave(*_params: Any) -> str:
            raise Refuse("HOST_IS_SLAVE", master)

        xapi.methods["session.login_with_password"] = slave

    def test_is_followed_when_known_and_pinned(self) -> None:
        with fake_xapi(host="127.0.0.2") as (member, at_member):
            with serving_on_port("127.0.0.3", at_member.port) as (master, at_master):
                self.member_of(member, "127.0.0.3")
                trust = pins(at_member)
                trust.pins |= pins(at_master).pins
                hv = open_hypervisor(
                    target(at_member, known_members=("127.0.0.3",)), Secret(password=PASSWORD), trust, SystemClock()
                )
                assert hv.info.address == "127.0.0.3"
                hv.close()
                assert master.logins == 1

    @pytest.mark.parametrize("why", ["not seen before", "not pinned", "loop"])
    def test_is_left_to_the_user_otherwise(self, why: str) -> None:
        with fake_xapi(host="127.0.0.2") as (member, at_member):
            with serving_on_port("127.0.0.3", at_member.port) as (master, at_master):
                self.member_of(member, "127.0.0.3" if why != "loop" else "127.0.0.2")
                trust = pins(at_member)
                if why != "not pinned":
                    trust.pins |= pins(at_master).pins
                known = () if why == "not seen before" else ("127.0.0.3", "127.0.0.2")
                with pytest.raises(HostIsSlave) as caught:
                    open_hypervisor(
                        target(at_member, known_members=known), Secret(password=PASSWORD), trust, SystemClock()
                    )
                assert caught.value.master_address in ("127.0.0.3", "127.0.0.2")
                assert master.calls == []

    def test_one_hop_only(self) -> None:
        with fake_xapi(host="127.0.0.2") as (member, at_member):
            with serving_on_port("127.0.0.3", at_member.port) as (master, at_master):
                self.member_of(member, "127.0.0.3")
                self.member_of(master, "127.0.0.2")
                trust = pins(at_member)
                trust.pins |= pins(at_master).pins
                with pytest.raises(HostIsSlave):
                    open_hypervisor(
                        target(at_member, known_members=("127.0.0.2", "127.0.0.3")),
                        Secret(password=PASSWORD),
                        trust,
                        SystemClock(),
                    )
                assert member.count("session.login_with_password") == 1

    def test_known_member_is_tried_when_the_address_is_dead(self) -> None:
        with fake_xapi(host="127.0.0.3") as (xapi, server):
            dead = type(target(server))(
                platform="xenserver",
                addresses=(("127.0.0.4", server.port),),
                user="root",
                known_members=("127.0.0.3", "127.0.0.5"),
            )
            hv = open_hypervisor(dead, Secret(password=PASSWORD), pins(server), SystemClock())
            hv.close()
            assert xapi.logins == 1


def serving_on_port(host: str, port: int) -> Any:
    """A fake at another address with the same port, as in a real pool."""
    import contextlib
    import socket

    from .hostile import HostileServer

    @contextlib.contextmanager
    def serve() -> Any:
        xapi = FakeXapi()
        server = HostileServer(xapi.serve, identity=identity("master"), host=host)
        server._listener.close()
        server._listener = socket.create_server((host, port))
        server.port = port
        with server:
            yield xapi, server

    return serve()


class TestCalls:
    def test_expired_session_is_renewed_once_and_the_call_sent_again(self) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:

            def start(handle: str, *_params: Any) -> str:
                if handle == "OpaqueRef:session1":
                    raise Refuse("SESSION_INVALID", handle)
                return "done"

            xapi.methods["VM.start"] = start
            assert session.call("VM.start", "vm", write=True) == "done"
            assert xapi.logins == 2
            assert session.generation == 2

    @pytest.mark.parametrize("details", [["SESSION_INVALID", "x"], ["HANDLE_INVALID", "session", "x"]])
    def test_a_server_that_always_says_expired_gets_two_tries(self, details: list[str]) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:

            def expired(*_params: Any) -> str:
                raise Refuse(*details)

            xapi.methods["VM.start"] = expired
            with pytest.raises(SessionLost):
                session.call("VM.start", "vm", write=True)
            assert xapi.count("VM.start") == 2
            assert xapi.logins == 2

    def test_eight_threads_renew_once(self) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:
            barrier = threading.Barrier(8)

            def read(handle: str) -> str:
                if handle == "OpaqueRef:session1":
                    raise Refuse("SESSION_INVALID", handle)
                return "fine"

            xapi.methods["VM.get_all"] = read
            results: list[object] = []

            def work() -> None:
                barrier.wait(10)
                results.append(session.call("VM.get_all"))

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert results == ["fine"] * 8
            assert xapi.logins == 2

    def test_cut_after_the_work_is_never_repeated(self) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:

            def snapshot(*_params: Any) -> str:
                raise Drop

            xapi.methods["VM.snapshot"] = snapshot
            for count in range(1, 4):
                with pytest.raises(OutcomeUnknown):
                    session.call("VM.snapshot", "vm", "name", write=True)
                assert xapi.count("VM.snapshot") == count

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html/>",
            b"<methodResponse><params><param><value>1</value></param></params></methodResponse>",
            b"<methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value></member>"
            b"</struct></value></param></params></methodResponse>",
            b"<methodResponse><params><param><value><struct><member><name>Status</name><value>Failure</value></member>"
            b"</struct></value></param></params></methodResponse>",
        ],
    )
    def test_unreadable_answers(self, body: bytes) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:

            def answer(*_params: Any) -> str:
                raise Raw(body)

            xapi.methods["VM.thing"] = answer
            with pytest.raises(HvError) as read:
                session.call("VM.thing")
            assert not isinstance(read.value, OutcomeUnknown)
            with pytest.raises((OutcomeUnknown, HvError)):
                session.call("VM.thing", write=True)
            xapi.methods["VM.fine"] = lambda *_params: "fine"
            assert session.call("VM.fine") == "fine"

    def test_control_characters_are_refused_before_sending(self) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:
            before = len(xapi.calls)
            for param in ("a\x00", ["x", "\x1f"], {"k": "\ud800"}, {"\x0b": "v"}):
                with pytest.raises(InvalidInput):
                    session.call("VM.thing", param)
            assert len(xapi.calls) == before

    def test_busy_is_busy_whatever_the_number_of_parameters(self) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:
            for details in (["VM", "ref"], ["VM", "ref", "start"], ["VM", "ref", "start", "task"]):

                def refuse(*_params: Any, details: list[str] = details) -> str:
                    raise Refuse("OTHER_OPERATION_IN_PROGRESS", *details)

                xapi.methods["VM.start"] = refuse
                with pytest.raises(Busy):
                    session.call("VM.start", "vm", write=True)

    def test_records_come_over_xml_where_json_is_unknown(self) -> None:
        with fake_xapi() as (xapi, server), session_to(server) as session:
            xapi.methods["VM.get_all_records"] = lambda _session: {"ref": {"uuid": "u"}, "junk": "x"}
            assert BulkReader(session).read("VM") == {"ref": {"uuid": "u"}}
            xapi.methods["VM.get_all_records"] = lambda _session: ["no", "records"]
            with pytest.raises(BadReply):
                BulkReader(session).read("VM")

    def test_log_out_from_a_dead_server_takes_two_seconds_at_most(self) -> None:
        with fake_xapi() as (_xapi, server), session_to(server) as session:
            server.script = raw()
            started = time.monotonic()
            session.log_out()
            assert time.monotonic() - started < 4
