"""``--trace FILE``: every envelope with its answer, redacted, so that a user's report can become a recording.

What is replaced: the user's name, the host's address and the names that it gives itself, values of properties that name
people, keys or hardware. What a trace never saw: the password, which is not in any envelope. Any thread; own lock.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
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
_MACHINE = re.compile(
    rb"<(?:[A-Za-z_][\w.-]*:)?(?:Selector\s+Name=[\"'])?(?:SystemName|DNSHostName|CSName|Domain|DNSDomain)[\"']?"
    rb"(?:\s[^<>]*)?>\s*([^<>\s]{3,255})\s*</|\sMachine=[\"']([^<>\"'\s]{3,255})[\"']|"
    rb"\\\\([^<>\"'\s\\]{3,255})\\root\\",
    re.IGNORECASE,
)
_GUID = re.compile(rb"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)
_MOST_NAMES = 50


class Trace:
    """Appends to a private file; stops silently at 64 MiB. Raises ``LocalError`` from the constructor only."""

    def __init__(self, path: Path, clock: Clock, *, words: tuple[str, ...]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._words = [encoded for word in words if len(word) > 2 for encoded in _encoded(word)]
        self._machines: dict[bytes, re.Pattern[bytes]] = {}
        self._written = 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            if stat.S_ISREG(os.fstat(self._file).st_mode):
                Path(path).chmod(0o600)
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
        """``body`` in UTF-8 without what names people, machines or keys."""
        body = _utf8(body)
        self._learn(body)
        for word in self._words:
            body = re.sub(re.escape(word), b"REDACTED", body, flags=re.IGNORECASE)
        for machine in [*self._machines.values()]:
            body = machine.sub(b"HOST", body)
        return _PRIVATE.sub(rb"\1REDACTED\3", body)

    def _learn(self, body: bytes) -> None:
        """The names that the host calls itself by; they come up in most answers."""
        for match in _MACHINE.finditer(body):
            name = next(filter(None, match.groups())).lower()
            if name in self._machines or len(self._machines) >= _MOST_NAMES or _GUID.fullmatch(name):
                continue
            self._machines[name] = re.compile(rb"(?<![\w-])" + re.escape(name) + rb"(?![\w-])", re.IGNORECASE)


def _utf8(body: bytes) -> bytes:
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if body.startswith(mark):
            return body.decode(codec, "replace").encode()
    return body


def _encoded(word: str) -> set[bytes]:
    found = {word.encode("utf-8", "replace")}
    try:
        once = wmi_xml.text(word)
        found |= {once.encode(), wmi_xml.text(once).encode()}
    except InvalidInput:
        pass
    return found
