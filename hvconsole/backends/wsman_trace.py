"""``--trace FILE``: every envelope with its answer, redacted, so that a user's report can become a recording.

What is replaced: the user's name, the host's address, values of properties that name people, keys or hardware. What a
trace never saw: the password, which is not in any envelope. Any thread; own lock.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from hvconsole.backends import wmi_xml
from hvconsole.clock import Clock
from hvconsole.errors import InvalidInput, LocalError

_MAX_BYTES = 64 << 20
_PRIVATE = re.compile(
    rb"(<(?:[A-Za-z_][\w.-]*:)?(?P<name>SerialNumber|BIOSSerialNumber|BaseBoardSerialNumber|ChassisSerialNumber|"
    rb"ChassisAssetTag|BIOSGUID|RegisteredUser|Organization|UserName|PrimaryOwnerName|PrimaryOwnerContact|Owner|"
    rb"IdentifyingNumber|UUID|ProductKey|StartName)(?:\s[^<>]*)?>)[^<]+(</)"
)


class Trace:
    """Appends to a private file; stops silently at 64 MiB. Raises ``LocalError`` from the constructor only."""

    def __init__(self, path: Path, clock: Clock, *, words: tuple[str, ...]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._words = [encoded for word in words if len(word) > 2 for encoded in _encoded(word)]
        self._written = 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as exc:
            raise LocalError(f"The trace file {path} can't be written.", str(exc)) from exc

    def request(self, message: bytes) -> None:
        """Record what is about to be sent."""
        self._write(b"request", message)

    def answer(self, status: int, body: bytes) -> None:
        """Record what came back."""
        self._write(b"answer HTTP %d" % status, body)

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _write(self, what: bytes, body: bytes) -> None:
        stamp = self._clock.now().isoformat(timespec="milliseconds").encode()
        piece = b"<!-- %s %s -->\n%s\n" % (stamp, what, self.redacted(body))
        with self._lock:
            if self._file < 0 or self._written + len(piece) > _MAX_BYTES:
                return
            self._written += len(piece)
            try:
                os.write(self._file, piece)
            except OSError:
                # A full disk must not stop the work that is being traced.
                os.close(self._file)
                self._file = -1

    def redacted(self, body: bytes) -> bytes:
        """``body`` without what names people, machines or keys."""
        for word in self._words:
            body = re.sub(re.escape(word), b"REDACTED", body, flags=re.IGNORECASE)
        return _PRIVATE.sub(rb"\1REDACTED\3", body)


def _encoded(word: str) -> set[bytes]:
    found = {word.encode("utf-8", "replace")}
    try:
        once = wmi_xml.text(word)
        found |= {once.encode(), wmi_xml.text(once).encode()}
    except InvalidInput:
        pass
    return found
