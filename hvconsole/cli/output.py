"""What the commands print and with which exit code they end. JSON goes to stdout alone, everything else to stderr.

Main thread, except ``Printer`` whose methods may be called from any thread.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import sys
import threading
from typing import Any, TextIO

from hvconsole.clock import SystemClock
from hvconsole.errors import (
    AuthError,
    CertificateError,
    ConnectError,
    HostIsSlave,
    HvError,
    LocalError,
    SessionLost,
)
from hvconsole.text import safe_lines, safe_text
from hvconsole.trust import format_fingerprint, validity_warning

DONE, FAILED, USAGE, CERTIFICATE, LOGIN, UNREACHABLE = range(6)
"""Exit codes: done, the operation failed, wrong usage, certificate, login, server not reachable."""


class OutputError(LocalError):
    """Nothing more can be written where the output goes, for example because a disk is full."""


class UsageError(Exception):
    """The command line asks for something that cannot be meant; the text says what to change."""


def exit_code(error: HvError) -> int:
    """The exit code for an error of a whole command."""
    if isinstance(error, CertificateError):
        return CERTIFICATE
    if isinstance(error, AuthError):
        return LOGIN
    if isinstance(error, (ConnectError, SessionLost)):
        # A pool member, a host in emergency mode, something that is no hypervisor: no server to work with there.
        return UNREACHABLE
    return FAILED


def complaint(error: HvError) -> str:
    """An error as lines for a terminal: what happened, the server's words, what to do."""
    lines = [safe_lines(error.user_text)]
    if error.detail and error.detail not in error.user_text:
        lines.append(f"  The answer was: {safe_text(error.detail, 600)}")
    if isinstance(error, CertificateError):
        if error.pinned is not None:
            lines.append(f"  expected:  SHA-256 {format_fingerprint(error.pinned.sha256)}")
        if error.presented is not None:
            shown = error.presented
            lines.append(f"  presented: SHA-256 {format_fingerprint(shown.sha256)}")
            if shown.subject or shown.issuer:
                lines.append(f"  subject {safe_text(shown.subject)}, issuer {safe_text(shown.issuer)}")
            if shown.not_before and shown.not_after:
                lines.append(f"  valid from {utc(shown.not_before)} to {utc(shown.not_after)}")
            warning = validity_warning(shown, SystemClock().now())
            if warning:
                lines.append(f"  {warning}")
            lines.append(f"  If it is the right one: --fingerprint {shown.sha256}")
    if isinstance(error, HostIsSlave):
        lines.append(f"  The pool's master is {safe_text(error.master_address)}; it is not followed by itself.")
    return "\n".join(lines)


def utc(moment: dt.datetime | None) -> str | None:
    """ISO 8601 in UTC with a "Z", to the second unless there are fractions; None stays None."""
    if moment is None:
        return None
    text = moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text.removesuffix(".000") + "Z"


class Printer:
    """Lines to stdout and stderr that do not mix when threads print at once."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err: TextIO | None = err or sys.stderr
        self._lock = threading.Lock()

    def json(self, value: Any) -> None:
        """One JSON document on one line of stdout, flushed. Non-ASCII is escaped, so any terminal can take it.

        Raises as ``line``.
        """
        self.line(json.dumps(value, ensure_ascii=True))

    def line(self, text: str) -> None:
        """A line for people on stdout, flushed. The caller made it safe.

        Raises ``BrokenPipeError`` and ``OutputError``.
        """
        with self._lock:
            try:
                print(text, file=self._out, flush=True)
            except BrokenPipeError:
                raise
            except OSError as exc:
                raise OutputError("The output can't be written.", str(exc)) from exc

    def error(self, text: str) -> None:
        """Lines for people on stderr; where nobody takes them they are lost."""
        if self._err is None:
            return  # closed by the shell; print would take stdout instead
        with self._lock, contextlib.suppress(OSError):
            print(text, file=self._err, flush=True)

    def redraw(self, text: str) -> None:
        """Replace the last line of a terminal's stderr; empty = take it away."""
        with self._lock, contextlib.suppress(OSError):
            print(f"\r\x1b[K{text}", end="", file=self._err, flush=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is at the other end; a stream that the shell closed is None."""
    return stream is not None and stream.isatty()


def prepare_streams() -> None:
    """Never fail for a character that the terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def let_go_of_stdout() -> None:
    """Keep the interpreter from complaining at its exit about output that nobody can take."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
