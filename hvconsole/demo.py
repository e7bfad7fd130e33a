"""The built-in lab behind ``hvconsole --demo``: starts it, offers its servers as connections, and moves its cables.

``DemoLab`` is made, started and asked by the Tk thread; its servers and guests live on threads of the lab.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from hvconsole.backends.base import Secret
from hvconsole.lab import Lab
from hvconsole.lab.objects import HostState
from hvconsole.lab.sites import ServerDescription
from hvconsole.lab.tasks import Timing
from hvconsole.model import Certificate
from hvconsole.profiles import ServerProfile, parse_address, parse_url


@dataclass(frozen=True, slots=True)
class DemoServer:
    """One server of the lab, ready to be connected to."""

    profile: ServerProfile
    secret: Secret
    certificates: tuple[Certificate, ...]
    """What every address of the server presents: made by this process a moment ago, so trusted without a question."""


class DemoLab:
    """A lab in this process. Implements ``ui.interfaces.LabController``."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._stopper: threading.Thread | None = None

    @classmethod
    def default(cls) -> DemoLab:
        """The default estate at a pace that looks real."""
        return cls(Lab(timing=Timing.demo()))

    @property
    def network(self) -> tuple[str, int]:
        """(host, port) of the virtual network on which the lab's guests answer pings."""
        return self._lab.network

    def start(self) -> tuple[DemoServer, ...]:
        """Start the lab (a tenth of a second) and say how to reach its servers."""
        self._lab.start()
        return tuple(_demo_server(server) for server in self._lab.servers)

    def stop(self) -> None:
        """End the lab's threads; does not wait."""
        if self._stopper is None:
            self._stopper = threading.Thread(target=self._lab.stop, name="lab-stop", daemon=True)
            self._stopper.start()

    def alive(self) -> tuple[str, ...]:
        """What still runs."""
        return ("lab-stop",) if self._stopper is not None and self._stopper.is_alive() else ()

    # ---- the Lab menu ----------------------------------------------------------------------------------------

    def knows_vm(self, uuid: str) -> bool:
        """Whether the lab owns this VM."""
        return uuid in self._lab.world.vms

    def cable_plugged(self, uuid: str) -> bool:
        """Whether the VM's network cable is plugged."""
        return self._lab.cable_plugged(uuid)

    def set_cable(self, uuid: str, plugged: bool) -> None:
        """Pull or plug the VM's network cable."""
        if plugged:
            self._lab.plug_cable(uuid)
        else:
            self._lab.pull_cable(uuid)

    def hosts(self) -> tuple[tuple[str, str, bool], ...]:
        """(uuid, name, alive) of every host in the lab."""
        hosts = self._lab.world.hosts.values()
        return tuple((host.id, host.name, host.state is HostState.UP) for host in hosts)

    def set_host(self, uuid: str, alive: bool) -> None:
        """Make a host fail, or bring it back."""
        if alive:
            self._lab.repair_host(uuid)
        else:
            self._lab.fail_host(uuid)

    def masters(self) -> tuple[str, ...]:
        """Uuids of the hosts that are pool masters."""
        return tuple(site.master_id for site in self._lab.world.sites.values() if site.master_id)


def _demo_server(server: ServerDescription) -> DemoServer:
    profile = replace(parse_url(server.url), name=server.name, known_members=server.members)
    places = dict.fromkeys((*profile.addresses, *(parse_address(member, 443) for member in server.members)))
    return DemoServer(
        profile=profile,
        secret=Secret(password=server.password),
        certificates=tuple(Certificate(host=host, port=port, sha256=server.sha256) for host, port in places),
    )
