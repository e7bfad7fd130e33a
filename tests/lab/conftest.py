"""Foreign clients for the lab's tests: PyPI's XenAPI and a bare HTTPS client."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import XenAPI

from hvconsole.lab import Lab
from hvconsole.lab.xapi.server import XapiSite


@dataclass
class Clients:
    """Logged-in XenAPI sessions, all of them closed at the end."""

    lab: Lab
    opened: list[Any] = field(default_factory=list)

    def session(self, member: int = 0, *, login: bool = True) -> Any:
        """A session on a member of the pool (0: the master)."""
        server = self.lab.servers[0]
        session = XenAPI.Session(f"https://{server.members[member]}", ignore_ssl=True)
        self.opened.append(session)
        if login:
            session.xenapi.login_with_password(server.user, server.password, "1.0", "lab tests")
        return session

    def close(self) -> None:
        """Close every connection."""
        for session in self.opened:
            session("close")()


@pytest.fixture
def clients(lab: Lab) -> Iterator[Clients]:
    """A factory of sessions."""
    factory = Clients(lab)
    yield factory
    factory.close()


@pytest.fixture
def api(clients: Clients) -> Any:
    """XenAPI's proxy of a session on the master."""
    return clients.session().xenapi


@pytest.fixture
def ref_of(api: Any) -> Callable[[str], str]:
    """The reference of the VM with a name."""

    def find(name: str) -> str:
        return str(api.VM.get_by_name_label(name)[0])

    return find


@pytest.fixture
def web(lab: Lab) -> Callable[..., tuple[int, Any, bytes]]:
    """``web(method, path, body=…, member=0)`` → status, headers, body over a connection of its own."""

    def request(
        method: str, path: str, body: Any = None, *, member: int = 0, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, bytes]:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(lab.servers[0].members[member], context=context, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            with connection.getresponse() as response:
                return response.status, response.headers, response.read()
        finally:
            connection.close()

    return request


def site_server(lab: Lab) -> XapiSite:
    """The pool's server."""
    server = lab.site_servers[0]
    assert isinstance(server, XapiSite)
    return server


def fail_master(lab: Lab) -> str:
    """Kill the master and wait until it is silent; its id."""
    master = lab.fail_master()
    assert master is not None
    assert site_server(lab).wait_listening(master, listening=False, timeout_s=10)
    return master


def failure(call: Callable[..., Any], *arguments: Any) -> list[str]:
    """The details of the failure that a call ends in."""
    with pytest.raises(XenAPI.Failure) as caught:
        call(*arguments)
    return list(caught.value.details)
