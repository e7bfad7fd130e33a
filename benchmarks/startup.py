"""How long until the window can be used, and how much memory it takes then.

    python benchmarks/startup.py [runs]

Needs a screen. Each run starts a fresh process on an empty home folder; "usable" is the moment at which the window is
drawn and the main loop is idle for the first time, counted from the start of the process. The peer in the same run is
an empty Tk window. Goals: < 1 s and < 120 MB.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

REPORT = """
import json, os
def report():
    ticks = os.sysconf("SC_CLK_TCK")
    started = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]) / ticks
    now = float(open("/proc/uptime").read().split()[0])
    rss = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    print(json.dumps({"usable_s": now - started, "rss_mb": rss / 1e6}), flush=True)
    os._exit(0)
"""

CONSOLE = (
    REPORT
    + """
from hvconsole.ui.window import MainWindow
def main_loop(self):
    self.root.update()
    self.root.after_idle(report)
    self.dispatcher.start()
    self.root.mainloop()
MainWindow.main_loop = main_loop
from hvconsole.app import open_window
open_window()
"""
)

EMPTY = (
    REPORT
    + """
import tkinter
root = tkinter.Tk()
root.update()
root.after_idle(report)
root.mainloop()
"""
)


def measure(code: str, home: str, bytecode: str) -> dict[str, float]:
    environment = {**os.environ, "HVCONSOLE_HOME": home, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if not done.stdout:
        sys.exit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    results: dict[str, list[dict[str, float]]] = {"hvconsole": [], "empty Tk window": []}
    with tempfile.TemporaryDirectory() as bytecode:
        measure(CONSOLE, bytecode, bytecode)  # compiles, as installing does
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as home:
                results["hvconsole"].append(measure(CONSOLE, home, bytecode))
            results["empty Tk window"].append(measure(EMPTY, "", bytecode))
    for name, rows in results.items():
        usable = statistics.median(row["usable_s"] for row in rows)
        memory = statistics.median(row["rss_mb"] for row in rows)
        print(f"{name:16} usable after {usable:5.2f} s, {memory:6.1f} MB   (median of {runs})")


if __name__ == "__main__":
    main()
