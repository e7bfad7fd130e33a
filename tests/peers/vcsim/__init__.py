"""vcsim: VMware's own simulator (govmomi), built from Debian's packages, one process per simulated server.

``binary()`` builds it once into ``.cache/``; as root it installs the two packages it needs. In CI a peer that can't be
built is a failure, elsewhere its tests are skipped with the reason.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache"
PACKAGES = ("golang-go", "golang-github-vmware-govmomi-dev")
GOVMOMI = Path("/usr/share/gocode/src/github.com/vmware/govmomi/simulator")
START_S = 30.0
USER, PASSWORD = "root", "secret-of-vcsim"


class CannotBuild(Exception):
    """Why there is no vcsim here."""


def binary() -> Path:
    """The built peer; the name carries a digest of its sources. Raises ``CannotBuild``."""
    sources = [*sorted(HERE.glob("*.go")), HERE / "build.sh"]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    target = CACHE / f"vcsim-{digest}"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "vcsim.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _install()
            _build(target)
    return target


def _install() -> None:
    if shutil.which("go") and GOVMOMI.is_dir():
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise CannotBuild(f"needs the Debian packages {' and '.join(PACKAGES)} (apt-get install them as root)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"],
                    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBuild(f"{' '.join(command)} failed: {done.stderr[-500:]}")


def _build(target: Path) -> None:
    environment = {**os.environ, "GOCACHE": str(CACHE / "go-build")}
    new = target.with_suffix(".new")
    done = subprocess.run(["sh", str(HERE / "build.sh"), str(new)], env=environment, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise CannotBuild(f"building vcsim failed: {done.stderr[-2000:]}")
    new.replace(target)


def require() -> Path:
    """The built peer, or: a failure in CI, a loud skip elsewhere."""
    try:
        return binary()
    except CannotBuild as exc:
        if os.environ.get("CI"):
            pytest.fail(f"vcsim is required in CI: {exc}")
        pytest.skip(f"vcsim is missing: {exc}")


class Vcsim:
    """A running simulator: ``kind`` "vpx" (vCenter) or "esx". Other keywords are its command line flags."""

    def __init__(self, kind: str = "vpx", **flags: object) -> None:
        self._home = tempfile.mkdtemp(prefix="hvconsole-vcsim-")
        arguments = [str(require()), f"-user={USER}", f"-pass={PASSWORD}"]
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
