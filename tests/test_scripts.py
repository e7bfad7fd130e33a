"""``make demo`` and ``make test`` on machines that lack something: they say what, and how to get it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the scripts are for POSIX shells")

PYTHON_WITHOUT_TK = """#!/bin/sh
case "$2" in *{module}*) exit 1;; *) exit 0;; esac
"""


@pytest.fixture
def machine(tmp_path):
    """A machine whose only Python is ours, and where we are not root."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()

    def put(name, text):
        path = bin_folder / name
        path.write_text(text)
        path.chmod(0o755)

    put("id", "#!/bin/sh\necho 1000\n")
    for tool in ("uname", "cat", "sh"):
        (bin_folder / tool).symlink_to(str(shutil.which(tool)))
    return put, {"PATH": str(bin_folder), "HOME": str(tmp_path)}


def run(script, environment, *words):
    command = ["/bin/sh", str(SCRIPTS / script), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_python_with_everything_is_found():
    done = run("find-python.sh", dict(os.environ))
    assert done.returncode == 0
    version = subprocess.run([done.stdout.strip(), "-c", "import tkinter, sys; print(sys.version_info >= (3, 11))"],
                             capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert version.stdout.strip() == "True"


@pytest.mark.skipif(
    subprocess.run(["/usr/bin/python3", "-c", "import tkinter"], capture_output=True, check=False).returncode == 0
    if Path("/usr/bin/python3").exists()
    else False,
    reason="this system's own Python has Tk, so it would be found",
)
def test_the_one_missing_package_is_named(machine):
    put, environment = machine
    put("python3", PYTHON_WITHOUT_TK.format(module="tkinter"))
    done = run("find-python.sh", environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Tk for Python is missing" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2


def test_without_a_screen_the_demo_says_so_and_offers_a_way():
    bare = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = run("demo.sh", bare, "bin")
    assert done.returncode == 1
    assert "no screen" in done.stderr
    assert "hvconsole lab" in done.stderr
    assert "xvfb-run" in done.stderr
