"""The whole program on the lab, tab by tab and dialog by dialog: nothing is clipped at any scale, light or dark.

The pictures are in artifacts/gallery/ for people to look at.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "artifacts" / "gallery"
SCALES = (1.0, 1.5, 2.0)


def start_screen(program: str) -> tuple[subprocess.Popen[bytes], str]:
    """A screen of its own that holds the window at twice its size: pictures are taken of what is on top."""
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", "2600x1700x24", "-dpi", "96", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        ready, _, _ = select.select([answer], [], [], 30)
        number = answer.readline().strip().decode() if ready else ""
    return server, f":{number}"


@pytest.fixture(scope="module")
def galleries() -> Iterator[dict[float, subprocess.Popen[str]]]:
    """All runs at once: most of their time they wait for the program to settle."""
    program = shutil.which("Xvfb")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Xvfb: the gallery is NOT checked")
        pytest.skip("no Xvfb: the gallery is NOT checked")
    screens, runs = [], {}
    for scale in SCALES:
        screen, name = start_screen(program)
        screens.append(screen)
        command = [sys.executable, "-m", "tests.ui.gallery", "--scale", str(scale), "--modes", "light,dark"]
        runs[scale] = subprocess.Popen(
            [*command, "--out", str(PICTURES)],
            cwd=ROOT,
            env={**os.environ, "DISPLAY": name},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    yield runs
    for run in runs.values():
        if run.poll() is None:
            run.kill()
        run.communicate()
    for screen in screens:
        screen.terminate()
        screen.wait(10)


@pytest.mark.display
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scale", SCALES)
def test_every_tab_and_dialog_shows_all_of_its_text(
    scale: float, galleries: dict[float, subprocess.Popen[str]]
) -> None:
    out, err = galleries[scale].communicate(timeout=280)
    assert galleries[scale].returncode == 0, err
    report = json.loads(out.splitlines()[-1])
    assert report["problems"] == []
    assert len(report["pictures"]) > 110
    assert "Traceback" not in err, err
