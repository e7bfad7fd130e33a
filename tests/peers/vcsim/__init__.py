"""vcsim: VMware's own simulator (govmomi), one process per simulated server."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from tests.peers.building import require

HERE = Path(__file__).parent
USER, PASSWORD = "root", "secret-of-vcsim"


class Vcsim:
    """A running simulator: ``kind`` "vpx" (vCenter) or "esx". Other keywords are its command line flags."""

    def __init__(self, kind: str = "vpx", **flags: object) -> None:
        self._home = tempfile.mkdtemp(prefix="hvconsole-vcsim-")
        arguments = [str(require(HERE)), f"-user={USER}", f"-pass={PASSWORD}"]
        arguments += ["-esx"] if kind == "esx" else []
        arguments += [f"-{name}={value}" for name, value in flags.items()]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": self._home})
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError("vcsim did not start")
        hello: dict[str, Any] = json.loads(line)
        self.kind = kind
        self.host, self.port, self.sha256 = "127.0.0.1", int(hello["port"]), str(hello["sha256"])
        self.user, self.password = USER, PASSWORD

    def control(self, **what: object) -> dict[str, int]:
        """Set up faults, guest states, task durations: see ``ctl`` in extend.go. Returns how often what was asked."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        request = urllib.request.Request(f"https://{self.host}:{self.port}/ctl", json.dumps(what).encode())
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=10) as reply:
            counts: dict[str, int] = json.loads(reply.read())["counts"]
            return counts

    def stop(self) -> None:
        """End the process at once: its own tidy end takes long with many VMs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Vcsim:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
