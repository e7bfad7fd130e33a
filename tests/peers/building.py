"""Building peers written in Go from Debian's packages, once, into ``.cache/``. As root the packages are installed.

In CI a peer that can't be built is a failure, elsewhere its tests are skipped with the reason.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".cache"
PACKAGES = ("golang-go", "golang-github-vmware-govmomi-dev")
GOVMOMI = Path("/usr/share/gocode/src/github.com/vmware/govmomi/simulator")


class CannotBuild(Exception):
    """Why there is no vcsim here."""


def binary(folder: Path) -> Path:
    """The program built of a folder's sources; the name carries their digest. Raises ``CannotBuild``."""
    sources = [*sorted(folder.glob("*.go")), folder / "build.sh"]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    target = CACHE / f"{folder.name}-{digest}"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "peers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _install()
            _build(folder, target)
    return target


def _install() -> None:
    if shutil.which("go") and GOVMOMI.is_dir():
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise CannotBuild(f"needs the Debian packages {' and '.join(PACKAGES)} (apt-get install them as root)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBuild(f"{' '.join(command)} failed: {done.stderr[-500:]}")


def _build(folder: Path, target: Path) -> None:
    environment = {**os.environ, "GOCACHE": str(CACHE / "go-build")}
    new = target.with_suffix(".new")
    done = subprocess.run(
        ["sh", str(folder / "build.sh"), str(new)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotBuild(f"building {folder.name} failed: {done.stderr[-2000:]}")
    new.replace(target)


def require(folder: Path) -> Path:
    """The built program, or: a failure in CI, a loud skip elsewhere."""
    try:
        return binary(folder)
    except CannotBuild as exc:
        if os.environ.get("CI"):
            pytest.fail(f"{folder.name} is required in CI: {exc}")
        pytest.skip(f"{folder.name} is missing: {exc}")


def main() -> int:
    """Build all peers now: a build from nothing takes longer than a test may."""
    status = 0
    for folder in sorted(path.parent for path in Path(__file__).parent.glob("*/build.sh")):
        try:
            binary(folder)
        except CannotBuild as exc:
            sys.stderr.write(f"{folder.name} can't be built: {exc}\n")
            status = 1 if os.environ.get("CI") else 0
    return status


if __name__ == "__main__":
    raise SystemExit(main())
