"""Real links for real packets: network namespaces with veth pairs, one per guest that is to be cut, made as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from hvconsole.monitor.icmp import engine_command


def why_not() -> str | None:
    """Why namespaces can't be made here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root"
    if shutil.which("ip") is None:
        return "needs the ip command (iproute2)"
    name = f"hvc-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None if made.returncode == 0 else f"network namespaces are not allowed: {made.stderr.strip()}"


class Cables:
    """A station's namespace, ``links`` guests with a cable each, and ``crowd`` guests behind one common cable."""

    def __init__(self, links: int, crowd: int) -> None:
        self.station = f"hvc-station-{os.getpid()}"
        self.guests = f"hvc-guests-{os.getpid()}"
        self.addresses = [f"10.77.{n}.2" for n in range(links)]
        self.v6_addresses = [f"fd77:{n:x}::2" for n in range(links)]
        self.crowd = [f"10.78.0.{n + 2}" for n in range(crowd)]
        self._batches: dict[str, subprocess.Popen[str]] = {}
        for name in (self.station, self.guests):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        for n in range(links):
            self._pair(f"c{n}")
            _ip("-n", self.station, "addr", "add", f"10.77.{n}.1/30", "dev", f"c{n}s")
            _ip("-n", self.guests, "addr", "add", f"10.77.{n}.2/30", "dev", f"c{n}g")
            _ip("-n", self.station, "addr", "add", f"fd77:{n:x}::1/64", "dev", f"c{n}s", "nodad")
            _ip("-n", self.guests, "addr", "add", f"fd77:{n:x}::2/64", "dev", f"c{n}g", "nodad")
        if crowd:
            self._pair("crowd")
            _ip("-n", self.station, "addr", "add", "10.78.0.1/24", "dev", "crowds")
            lines = "".join(f"addr add {address}/24 dev crowdg\n" for address in self.crowd)
            subprocess.run(["ip", "-n", self.guests, "-batch", "-"], input=lines, text=True, check=True)
        # Other people's echo requests are answered for every address of the namespace, cable or not: don't.
        for name in (self.guests, self.station):
            subprocess.run(
                ["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1"], capture_output=True
            )
        for name in (self.guests, self.station):
            self._batches[name] = subprocess.Popen(
                ["ip", "-n", name, "-batch", "-"], stdin=subprocess.PIPE, text=True, bufsize=1
            )

    def _pair(self, name: str) -> None:
        _ip(
            "link",
            "add",
            f"{name}s",
            "netns",
            self.station,
            "type",
            "veth",
            "peer",
            "name",
            f"{name}g",
            "netns",
            self.guests,
        )
        _ip("-n", self.station, "link", "set", f"{name}s", "up")
        _ip("-n", self.guests, "link", "set", f"{name}g", "up")

    def engine_command(self, *, nobody: bool = False) -> Sequence[str]:
        """The engine, run on the station; ``nobody``: without any capability."""
        bare = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all") if nobody else ()
        return ("ip", "netns", "exec", self.station, *bare, *engine_command(None))

    def let_everybody_ping(self) -> None:
        """What most desktop distributions set."""
        setting = "net.ipv4.ping_group_range=0 2147483647"
        subprocess.run(["ip", "netns", "exec", self.station, "sysctl", "-qw", setting], check=True)

    def cut(self, number: int) -> None:
        """Pull the cable of a guest, at the guest's end. Takes about a millisecond."""
        self._do(self.guests, f"link set c{number}g down")

    def mend(self, number: int) -> None:
        """Plug it in again; going down has cost the interface its IPv6 address."""
        self._do(self.guests, f"link set c{number}g up")
        self._do(self.guests, f"addr replace fd77:{number:x}::2/64 dev c{number}g nodad")

    def cut_everything(self) -> None:
        """The station's own uplink is gone: the far end of every cable goes down at once."""
        for number in range(len(self.addresses)):
            self.cut(number)
        if self.crowd:
            self._do(self.guests, "link set crowdg down")

    def cut_own_end(self) -> None:
        """All interfaces of the station itself go down: it cannot even send."""
        for number in range(len(self.addresses)):
            self._do(self.station, f"link set c{number}s down")
        if self.crowd:
            self._do(self.station, "link set crowds down")

    def _do(self, name: str, line: str) -> None:
        stream = self._batches[name].stdin
        assert stream is not None
        stream.write(line + "\n")
        stream.flush()

    def close(self) -> None:
        """Remove the namespaces and all in them."""
        for batch in self._batches.values():
            batch.communicate()
        for name in (self.station, self.guests):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
