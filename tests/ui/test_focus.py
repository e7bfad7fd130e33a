"""The keyboard where the focus follows the pointer: Tk forgets it wrongly, and the console must not fall over that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.display

# The pointer comes, the entry gets the keyboard, the pointer goes, the entry goes, its memory is used again.
STORY = """
import subprocess, tkinter as tk
from hvconsole.ui.megawidgets import take_keyboard

root = tk.Tk()
root.geometry("300x200+0+0")

def pointer(x, y, has_keyboard):
    subprocess.run(["xdotool", "mousemove", str(x), str(y)], check=True, timeout=20)
    for _ in range(500):
        root.update()
        if bool(root.tk.call("focus")) == has_keyboard:
            return
        root.after(10)
    raise SystemExit("the keyboard did not follow the pointer")

away = root.winfo_screenwidth() - 2, root.winfo_screenheight() - 2
first = tk.Entry(root)
first.pack()
root.update()
first.focus_set()
pointer(100, 100, True)
pointer(*away, False)
first.destroy()
root.update()
for number in range(3000):
    root.tk.call("set", f"filled({number})", "A" * (250 + number % 260))
second = tk.Entry(root)
second.pack()
root.update()
take_keyboard(second)
root.update()
pointer(100, 100, True)
print("keyboard:", root.focus_get() is second)
"""


def test_a_widget_that_went_while_the_pointer_was_away_does_not_crash_the_console(own_display: str) -> None:
    if shutil.which("xdotool") is None:
        reason = "xdotool is not installed: the pointer's focus is NOT tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    environment = {**os.environ, "DISPLAY": own_display}
    ran = subprocess.run(
        [sys.executable, "-c", STORY], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "keyboard: True\n"), ran.stderr
