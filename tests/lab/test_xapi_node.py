"""npm's xen-api, the client of Xen Orchestra, against the lab.

The package is installed once into ``.cache/`` of the repository. Without Node, npm or the registry the test is
skipped with a word; in CI (``CI=true``) that is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hvconsole.lab import Lab

VERSION = "4.7.6"
ROOT = Path(__file__).parents[2] / ".cache" / f"xen-api-{VERSION}"
PEER = Path(__file__).with_name("xen_api_peer.mjs")


def unavailable(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def package() -> Path:
    """A directory in which xen-api is installed."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        unavailable("Node.js with npm is not installed: xen-api cannot be tried")
    if not (ROOT / "node_modules" / "xen-api" / "package.json").exists():
        ROOT.mkdir(parents=True, exist_ok=True)
        manifest = {"name": "lab-peer", "private": True, "dependencies": {"xen-api": VERSION}}
        (ROOT / "package.json").write_text(json.dumps(manifest))
        command = [str(npm), "install", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=100, check=False)
        except subprocess.TimeoutExpired:
            unavailable("npm install took too long")
        else:
            if done.returncode:
                unavailable(f"npm install failed: {done.stderr.decode(errors='replace')[-300:]}")
    return ROOT


def test_xen_orchestras_client_works_the_lab(lab: Lab, package: Path) -> None:
    server = lab.servers[0]
    address = lab.world.vm_named("web-01").nics[0].addresses[0]
    done = subprocess.run(
        ["node", str(PEER), f"https://{server.members[0]}", server.user, server.password],
        env={**os.environ, "PEER_ROOT": str(package)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    seen = json.loads(done.stdout.splitlines()[-1])
    assert "error" not in seen, seen["error"]
    assert seen["pool"] == "Aurora"
    assert seen["master"] == "xen-basel-1"
    assert seen["vms"] == 40
    assert seen["guestNetworks"]["0/ip"] == address
    assert seen["memoryIsNumber"] is True
    assert seen["afterShutdown"] == "Halted"
    assert seen["snapshotName"] == 'from node <&> "quoted"'
    assert seen["refusal"] == ["VM_BAD_POWER_STATE", ["running", "halted"]]
    assert seen["unknown"] == "MESSAGE_METHOD_UNKNOWN"
    assert seen["otherConfig"] == "was here"
    assert seen["exported"] > 1_000_000
    assert seen["imported"] == "web-01"
