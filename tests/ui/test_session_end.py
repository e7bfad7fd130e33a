"""The desktop session ends, or somebody presses Ctrl-C in the terminal: the window closes in order, unasked."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_LIMIT_S = 30


def wait_for_window(name: str, environment: dict[str, str]) -> None:
    search = ["xdotool", "search", "--sync", "--onlyvisible", "--name", name]
    subprocess.run(search, env=environment, stdout=subprocess.DEVNULL, timeout=_LIMIT_S, check=True)


@pytest.mark.display
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("keys", [(), ("ctrl+comma",)], ids=["window", "dialog"])
def test_window_closes_and_keeps_its_place(
    own_display: str, tmp_path: Path, number: signal.Signals, keys: tuple[str, ...]
) -> None:
    environment = {**os.environ, "DISPLAY": own_display, "HVCONSOLE_HOME": str(tmp_path)}
    console = subprocess.Popen([sys.executable, "-m", "hvconsole"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_window("^hvconsole$", environment)
        for key in keys:
            subprocess.run(["xdotool", "key", key], env=environment, timeout=_LIMIT_S, check=True)
            wait_for_window("^Preferences", environment)
        console.send_signal(number)
        _out, errors = console.communicate(timeout=_LIMIT_S)
    finally:
        console.kill()
        console.wait(_LIMIT_S)
    assert console.returncode == 0
    assert errors == ""
    settings = json.loads(next(tmp_path.rglob("settings.json")).read_text())
    assert re.fullmatch(r"\d+x\d+\+\d+\+\d+", settings["window"]["geometry"])
