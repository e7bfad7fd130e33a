"""The rules of the house that can be read off the source: who may import whom, who may draw, who may tell the time."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "hvconsole"
FILES = sorted(path for path in ROOT.rglob("*.py"))

LAYERS = (
    {"model", "errors", "clock", "text", "events", "outages", "private_files", "user_files", "file_lock", "signals"},
    {"backends"},
    {"profiles", "trust", "whynot", "operation"},
    {"jobs", "operations", "operation_calls", "connection", "doctor", "credentials", "inventory_cache"}
    | {"store", "history", "history_rows"},
    {"monitor"},
    {"settings", "settings_merge"},
    {"ui"},
    {"app", "demo", "cli", "__main__"},
)
"""Lowest first. A part may import from its own layer and from those below."""

LAB_MAY_IMPORT = {"lab", "model", ""}
"""The simulator shares nothing with the client but words, or both would agree on the same mistake."""

NETWORK = {
    "socket", "ssl", "http", "urllib.request", "xmlrpc", "requests", "urllib3", "XenAPI", "pyVmomi", "pyVim", "winrm",
    "icmplib", "spnego", "requests_ntlm", "socketserver",
}  # fmt: skip
MAY_NETWORK = {"backends", "monitor", "lab"}
PLATFORM_FILES = {"xen": "xen", "vsphere": "vsphere", "hyperv": "hyperv", "wsman": "hyperv", "wmi": "hyperv"}
EXCEPTIONS = {
    "ui/dialogs/about.py": "names the OpenSSL in use",
    "ui/dialogs/connect.py": "the one form whose fields differ from platform to platform",
}
"""File → why it may do what the others may not: import ssl, compare platforms."""
BELOW_ITS_CALLERS = {("whynot", "backends"), ("model", "events")}
"""Pure vocabulary that lower layers may use too: (imported part, importing part)."""


def part_of(path: Path) -> str:
    """ "model" for hvconsole/model.py, "ui" for everything in hvconsole/ui/; "" for the package itself."""
    first = path.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def runtime_imports(tree: ast.AST):
    """(module, line) of every import that really happens; those for type checkers only are left out."""
    hidden = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            hidden.update(id(inner) for part in node.body for inner in ast.walk(part))
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            module = node.module or ""
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


@functools.cache
def trees():
    return [(path, ast.parse(path.read_text("utf-8"), str(path))) for path in FILES]


@functools.cache
def imports_of(path):
    return list(runtime_imports(dict(trees())[path]))


def ours(module: str) -> str | None:
    """The part of hvconsole that ``module`` names, or None for foreign modules."""
    words = module.split(".")
    if words[0] != "hvconsole":
        return None
    known = {part for layer in LAYERS for part in layer} | {"lab"}
    return words[1] if len(words) > 1 and words[1] in known else ""


def depth(part: str) -> int:
    return next((number for number, layer in enumerate(LAYERS) if part in layer), -1)


def is_of(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def test_every_part_has_its_layer():
    known = {part for layer in LAYERS for part in layer} | {"lab", ""}
    assert {part_of(path) for path in FILES} <= known


def test_imports_point_inwards():
    wrong = []
    for path in FILES:
        part = part_of(path)
        if part in ("lab", ""):
            continue
        for module, line in imports_of(path):
            target = ours(module)
            if not target or (target, part) in BELOW_ITS_CALLERS:
                continue
            if target == "lab":
                if part not in ("app", "demo", "cli"):
                    wrong.append(f"{path}:{line} {module}")
            elif target == "app":
                # The composition root is started by the command line and imported by nobody else.
                if part not in ("app", "cli"):
                    wrong.append(f"{path}:{line} {module}")
            elif depth(target) > depth(part):
                wrong.append(f"{path}:{line} {module}")
    assert wrong == []


def test_the_lab_shares_nothing_with_the_client():
    wrong = [
        f"{path}:{line} {module}"
        for path in FILES
        if part_of(path) == "lab"
        for module, line in imports_of(path)
        if ours(module) is not None and ours(module) not in LAB_MAY_IMPORT
    ]
    assert wrong == []


def test_only_the_window_draws():
    wrong = [
        f"{path}:{line} {module}"
        for path, tree in trees()
        if part_of(path) != "ui"
        for module, line in imports_of(path)
        if is_of(module, {"tkinter", "Pmw"}) and part_of(path) != "app"
    ]
    assert wrong == []


def test_only_backends_monitor_and_lab_touch_the_network():
    wrong = [
        f"{path}:{line} {module}"
        for path, tree in trees()
        if part_of(path) not in MAY_NETWORK and str(path.relative_to(ROOT)) not in EXCEPTIONS
        for module, line in imports_of(path)
        if is_of(module, NETWORK)
    ]
    assert wrong == []


def test_platforms_never_import_each_other():
    def platform(name: str) -> str | None:
        return next((kind for prefix, kind in PLATFORM_FILES.items() if name.startswith(prefix)), None)

    wrong = []
    for path in FILES:
        mine = platform(path.stem) if part_of(path) == "backends" else None
        if mine is None:
            continue
        for module, line in imports_of(path):
            words = module.split(".")
            theirs = platform(words[2]) if words[:2] == ["hvconsole", "backends"] and len(words) > 2 else None
            if theirs is not None and theirs != mine:
                wrong.append(f"{path}:{line} {module}")
    assert wrong == []


def test_nobody_outside_the_backends_asks_which_platform_it_is():
    wrong = []
    for path, tree in trees():
        if part_of(path) in ("backends", "lab", "profiles") or str(path.relative_to(ROOT)) in EXCEPTIONS:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                words = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
                if words & {"xenserver", "vsphere", "hyperv", "xen"}:
                    wrong.append(f"{path}:{node.lineno}")
    assert wrong == []


CLOCK_CALLS = {
    "time.time", "time.monotonic", "time.sleep", "time.perf_counter", "time.monotonic_ns", "time.time_ns",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "dt.datetime.now", "dt.datetime.utcnow",
    "datetime.datetime.now", "datetime.datetime.utcnow", "time.clock_gettime",
}  # fmt: skip


def test_time_comes_from_the_clock():
    wrong = []
    for path, tree in trees():
        if part_of(path) in ("clock", "lab"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCK_CALLS:
                wrong.append(f"{path}:{node.lineno} {ast.unparse(node.func)}")
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                wrong.append(f"{path}:{node.lineno} from time import")
    assert wrong == []


def test_only_the_command_line_prints():
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        if part_of(path) not in ("cli", "__main__", "app")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert wrong == []


def test_tcl_is_never_built_from_text():
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        if part_of(path) == "ui"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("tk.eval")
    ]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_module_says_what_lives_in_it_and_stays_readable(path):
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{path} has no docstring"
    assert len(text.splitlines()) < 700, f"{path} has grown too long: split it by subject"
    assert path.stem not in {"utils", "helpers", "manager", "misc", "common"}


def test_every_file_is_accounted_for():
    assert len(FILES) > 30
