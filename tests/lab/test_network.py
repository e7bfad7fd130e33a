"""The virtual network answers pings for guests that are there, and for nobody else."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator

import pytest

from hvconsole.lab import Lab, power
from hvconsole.lab.network import checksum


class Pinger:
    """Sends echo requests through the lab's network."""

    def __init__(self, lab: Lab) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(5)
        self._socket.connect(lab.network)
        self.sequence = 0

    def send(self, address: str, *, spoil: bool = False) -> bytes:
        self.sequence += 1
        parsed = ipaddress.ip_address(address)
        wide = parsed.packed if parsed.version == 6 else ipaddress.IPv6Address(f"::ffff:{address}").packed
        kind = 8 if parsed.version == 4 else 128
        blank = struct.pack("!BBHHH", kind, 0, 0, 77, self.sequence) + b"payload"
        number = checksum(blank) ^ (1 if spoil else 0)
        self._socket.send(wide + blank[:2] + struct.pack("!H", number) + blank[4:])
        return wide

    def receive(self) -> tuple[bytes, bytes]:
        datagram = self._socket.recv(4096)
        return datagram[:16], datagram[16:]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def pinger(lab: Lab) -> Iterator[Pinger]:
    made = Pinger(lab)
    yield made
    made.close()


def address(lab: Lab, name: str, position: int = 0) -> str:
    return lab.world.vm_named(name).nics[0].addresses[position]


def test_a_running_guest_answers_with_right_checksums(lab: Lab, pinger: Pinger) -> None:
    target = address(lab, "web-01")
    wide = pinger.send(target)
    source, reply = pinger.receive()
    assert source == wide
    assert checksum(reply) == 0
    assert struct.unpack("!BBxxHH", reply[:8]) == (0, 0, 77, pinger.sequence)
    assert reply[8:] == b"payload"


def test_ipv6_answers_too(lab: Lab, pinger: Pinger) -> None:
    wide = pinger.send(address(lab, "web-01", 1))
    source, reply = pinger.receive()
    assert source == wide
    assert reply[0] == 129
    pseudo = wide + bytes(16) + struct.pack("!I3xB", len(reply), socket.IPPROTO_ICMPV6)
    assert checksum(pseudo + reply) == 0


@pytest.mark.parametrize("name", ["web-staging", "kernel-debug", "firewalled", "archive-2019"])
def test_who_does_not_run_or_does_not_want_to_is_silent(lab: Lab, pinger: Pinger, name: str) -> None:
    assert_silent(lab, pinger, address(lab, name))


def assert_silent(lab: Lab, pinger: Pinger, target: str, *, spoil: bool = False) -> None:
    """The answer to a later request comes first: requests are answered in order."""
    pinger.send(target, spoil=spoil)
    known = pinger.send(address(lab, "db-01"))
    assert pinger.receive()[0] == known


def test_pulling_the_cable_silences_and_plugging_revives(lab: Lab, pinger: Pinger) -> None:
    vm = lab.world.vm_named("web-02")
    lab.pull_cable(vm.id)
    assert not lab.cable_plugged(vm.id)
    assert_silent(lab, pinger, vm.nics[0].addresses[0])
    lab.plug_cable(vm.id)
    pinger.send(vm.nics[0].addresses[0])
    pinger.receive()


def test_a_dead_host_and_a_halted_guest_are_silent(lab: Lab, pinger: Pinger) -> None:
    vm = lab.world.vm_named("web-02")
    lab.fail_host(vm.host_id or "")
    assert_silent(lab, pinger, vm.nics[0].addresses[0])
    other = lab.world.vm_named("web-01")
    power.shutdown(lab.world, other.id)
    assert_silent(lab, pinger, other.nics[0].addresses[0])


def test_strangers_damage_and_junk_are_ignored(lab: Lab, pinger: Pinger) -> None:
    assert_silent(lab, pinger, "203.0.113.9")
    assert_silent(lab, pinger, address(lab, "web-01"), spoil=True)
    pinger._socket.send(b"short")
    assert_silent(lab, pinger, "::1")


def test_gateway_and_hosts_answer_until_the_station_is_cut_off(lab: Lab, pinger: Pinger) -> None:
    pinger.send("10.20.0.1")
    pinger.receive()
    pinger.send(next(iter(lab.world.hosts.values())).address)
    pinger.receive()
    lab.set_station_online(False)
    assert not lab.world.answers("10.20.0.1")
    assert not lab.world.answers(address(lab, "web-01"))
