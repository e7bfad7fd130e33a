"""A client of the govmomi library, built from Debian's packages: what others see of our lab."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.peers.building import require

HERE = Path(__file__).parent


def work(address: str, user: str, password: str, vm: str) -> dict[str, Any]:
    """Let it log in at host:port, list, power ``vm`` on and off, snapshot and export it; returns what it saw."""
    command = [str(require(HERE)), f"-url=https://{address}/sdk", f"-user={user}", f"-pass={password}", f"-vm={vm}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    saw: dict[str, Any] = json.loads(done.stdout)
    return saw
