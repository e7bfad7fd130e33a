"""Certificates that the user accepted, by host and port. First use asks, a change stops hard; never "ignore".

``PinStore`` and ``FixedPins`` are thread-safe and implement ``backends.base.Trust``.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from hvconsole.backends.base import Trust
from hvconsole.errors import InvalidInput, LocalError
from hvconsole.file_lock import FileLock
from hvconsole.model import Certificate
from hvconsole.private_files import others_can_write, private_folder, read_private, write_private

LOCK_LIMIT_S = 1.0
"""How long another hvconsole may keep the file to itself; the window waits for it."""

Pins = dict[tuple[str, int], Certificate]


def parse_fingerprint(text: str) -> str:
    """SHA-256 fingerprint as typed (any case, with or without colons) → 64 lower-case hex digits.

    Raises ``InvalidInput``; SHA-1 fingerprints are refused.
    """
    digits = re.sub(r"[\s:]", "", text).lower().removeprefix("sha256")
    if re.fullmatch(r"[0-9a-f]{40}", digits):
        raise InvalidInput("That is a SHA-1 fingerprint; hvconsole needs the SHA-256 one (64 hex digits).")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise InvalidInput("A SHA-256 fingerprint has 64 hex digits.")
    return digits


def format_fingerprint(sha256: str) -> str:
    """64 hex digits → "AB:CD:…", as servers' own consoles show it."""
    return ":".join(sha256[i : i + 2] for i in range(0, len(sha256), 2)).upper()


def validity_warning(certificate: Certificate, now: dt.datetime) -> str:
    """A sentence if the certificate is not valid yet or no longer, else empty."""
    if certificate.not_after is not None and certificate.not_after < now:
        return "It is out of date."
    if certificate.not_before is not None and certificate.not_before > now:
        return "It is not valid yet; compare the clocks of this computer and the server."
    return ""


class PinStore:
    """Accepted certificates in one private JSON file; without a path they live in memory only.

    Raises ``LocalError`` from the constructor when the file cannot be read: pins are never silently lost.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._pins: Pins = {}
        if path is not None and path.exists():
            self._pins = _read(path)

    def pinned(self, host: str, port: int) -> Certificate | None:
        """The certificate accepted for this address, or None."""
        with self._lock:
            return self._pins.get((host.lower(), port))

    def accept(self, certificate: Certificate) -> None:
        """Pin ``certificate`` for its address, replacing an earlier one. Small synchronous write; ``LocalError``."""
        key = (certificate.host.lower(), certificate.port)
        self._change(lambda pins: {**pins, key: certificate})

    def forget(self, host: str, port: int) -> None:
        """Ask again at the next connection."""
        gone = (host.lower(), port)
        self._change(lambda pins: {key: pin for key, pin in pins.items() if key != gone})

    def all(self) -> tuple[Certificate, ...]:
        """Every accepted certificate, sorted by address."""
        with self._lock:
            return tuple(self._pins[key] for key in sorted(self._pins))

    def _change(self, change: Callable[[Pins], Pins]) -> None:
        with self._lock:
            if self._path is None:
                self._pins = change(self._pins)
                return
            private_folder(self._path.parent)
            lock = FileLock(self._path.with_name(self._path.name + ".lock"), "The list of accepted certificates")
            try:
                with lock.held(LOCK_LIMIT_S):
                    # Another hvconsole of this user may have accepted or forgotten some meanwhile.
                    pins = change(_read(self._path) if self._path.exists() else self._pins)
                    rows = [_as_json(pins[key]) for key in sorted(pins)]
                    write_private(self._path, json.dumps({"version": 1, "pins": rows}, indent=1).encode())
            except OSError as exc:
                raise LocalError(f"The file {self._path} can't be written.", str(exc)) from exc
            finally:
                lock.close()
            self._pins = pins


class FixedPins:
    """Fingerprints given on the command line, in front of another store.

    ``pins`` maps (host, port) to a fingerprint; addresses not in it are looked up in ``behind``.
    """

    def __init__(self, pins: Mapping[tuple[str, int], str], behind: Trust) -> None:
        self._pins = {(host.lower(), port): parse_fingerprint(text) for (host, port), text in pins.items()}
        self._behind = behind

    def pinned(self, host: str, port: int) -> Certificate | None:
        """The given fingerprint, or what the store behind says."""
        sha256 = self._pins.get((host.lower(), port))
        if sha256 is None:
            return self._behind.pinned(host, port)
        return Certificate(host=host, port=port, sha256=sha256)


def _as_json(pin: Certificate) -> dict[str, object]:
    def date(value: dt.datetime | None) -> str | None:
        return value.isoformat() if value else None

    return {
        "host": pin.host,
        "port": pin.port,
        "sha256": pin.sha256,
        "subject": pin.subject,
        "issuer": pin.issuer,
        "not_before": date(pin.not_before),
        "not_after": date(pin.not_after),
    }


def _read(path: Path) -> Pins:
    try:
        if others_can_write(path):
            raise LocalError(
                f"The list of accepted certificates, {path}, belongs to another user or can be changed by one. "
                "Look through it, then make it yours alone (chmod 600), or move it away."
            )
        rows = json.loads(read_private(path).decode("utf-8"))["pins"]
        pins = [
            Certificate(
                host=str(row["host"]),
                port=int(row["port"]),
                sha256=parse_fingerprint(row["sha256"]),
                subject=str(row.get("subject") or ""),
                issuer=str(row.get("issuer") or ""),
                not_before=_date(row.get("not_before")),
                not_after=_date(row.get("not_after")),
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput) as exc:
        raise LocalError(
            f"The list of accepted certificates, {path}, can't be read. Repair it or move it away.", str(exc)
        ) from exc
    return {(pin.host.lower(), pin.port): pin for pin in pins}


def _date(text: object) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC) if isinstance(text, str) else None
