"""The command line: the window, or one of the commands list, run, watch, check and lab.

Each command is a module of its own with ``parser()`` and ``run(arguments)``, imported when it is asked for.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from typing import Any

from hvconsole import __version__
from hvconsole.text import safe_lines, safe_text

LONGEST_LOG_TEXT = 20_000
"""Characters of a message or traceback in the log."""

INTERRUPTED = 130
"""Exit code when Ctrl-C ended it before it could finish, as shells count it."""

COMMANDS = {
    "list": "list VMs",
    "run": "do something to VMs, hosts or a server",
    "watch": "the monitor without a window: snapshots on network loss",
    "check": "connection doctor, step by step",
    "lab": "run the built-in simulated data centre",
}

EPILOG = """\
commands (each has --help):
{commands}

URL: xenserver://user@host[:port]  vsphere://user@host[:port]  hyperv://user@host[:port]  hyperv+http://user@host[:port]
PROFILE: the name of a saved server. The password comes from a prompt, the system's keyring (saved servers) or the
environment variable HVCONSOLE_PASSWORD, never from an argument.

exit codes: 0 done, 1 the operation failed, 2 usage, 3 certificate, 4 login, 5 server not reachable
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code. Argument errors leave by ``SystemExit(2)``, as argparse does it."""
    _no_core_dumps()
    arguments = [*sys.argv[1:]] if argv is None else [*argv]
    try:
        if arguments and arguments[0] in COMMANDS:
            return _run_command(arguments[0], arguments[1:])
        return _run_window(arguments)
    except KeyboardInterrupt:  # also while the modules of the command are being imported
        return INTERRUPTED


def _no_core_dumps() -> None:
    """Passwords are in memory while a session lasts; a crash must not write them to disk."""
    try:
        import resource  # POSIX only
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _run_command(name: str, rest: list[str]) -> int:
    from hvconsole.cli.output import (
        USAGE,
        Printer,
        UsageError,
        complaint,
        exit_code,
        let_go_of_stdout,
        prepare_streams,
    )
    from hvconsole.errors import HvError

    command = importlib.import_module(f"hvconsole.cli.cmd_{name}")
    prepare_streams()
    arguments = command.parse(rest) if hasattr(command, "parse") else command.parser().parse_intermixed_args(rest)
    _log_to_stderr(arguments.verbose)
    try:
        return int(command.run(arguments))
    except UsageError as exc:
        Printer().error(f"hvconsole {name}: {exc}")
        return USAGE
    except HvError as exc:
        Printer().error(complaint(exc))
        return exit_code(exc)
    except BrokenPipeError:
        return INTERRUPTED  # whoever read our output has seen enough
    finally:
        let_go_of_stdout()


def _run_window(rest: list[str]) -> int:
    commands = "\n".join(f"  {name:8}{text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="hvconsole",
        usage="hvconsole [--demo] [URL|PROFILE ...]\n       hvconsole {list,run,watch,check,lab} ...",
        description="A console for XenServer/XCP-ng, Hyper-V and VMware. Without a command it opens the window.",
        epilog=EPILOG.format(commands=commands),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("servers", metavar="URL|PROFILE", nargs="*", help="servers to connect to at once")
    parser.add_argument("--demo", action="store_true", help="open the window on the built-in lab")
    parser.add_argument("-v", "--verbose", action="store_true", help="log to stderr what is done")
    parser.add_argument("--version", action="version", version=f"hvconsole {__version__}")
    arguments = parser.parse_args(rest)
    _log_to_stderr(arguments.verbose)
    from hvconsole.app import open_window

    return open_window(tuple(arguments.servers), demo=arguments.demo)


class SafeFormatter(logging.Formatter):
    """Log lines for a terminal: servers' words are in them, which may steer it or look like other lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        return safe_text(super().formatMessage(record), LONGEST_LOG_TEXT)

    def formatException(self, ei: Any) -> str:
        """The traceback in its own lines."""
        return safe_lines(super().formatException(ei), LONGEST_LOG_TEXT)


def _log_to_stderr(verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter())
    logging.basicConfig(level=logging.DEBUG if verbose else logging.ERROR, handlers=[handler])
