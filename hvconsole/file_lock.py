"""A lock between processes of the same user: two consoles share their files. Any thread, one owner per object."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from hvconsole.errors import LocalError


def take(handle: int) -> bool:
    """Lock an open file for this process and owner if nobody has it; False if somebody does. Where a file system knows
    no locks everything counts as free."""
    try:
        _lock(handle)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True


class FileLock:
    """An advisory lock between processes on a private file. Held at most by one owner; dies with its process."""

    POLL_S = 0.02

    def __init__(self, path: Path, what: str = "The file") -> None:
        """``what`` is guarded by it, for the sentence that says it is in use."""
        self.path = path
        self._what = what
        self._handle: int | None = None
        self._pause = threading.Event()

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Raises ``OSError`` if the file cannot be made."""
        if self._handle is None:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(self._handle)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self) -> None:
        """Let others have it; the file stays."""
        if self._handle is not None:
            _unlock(self._handle)

    def close(self) -> None:
        """Release the lock and the file. Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    @contextlib.contextmanager
    def held(self, limit_s: float) -> Iterator[None]:
        """Hold the lock for a block. Raises ``LocalError`` if others keep it for ``limit_s`` seconds."""
        tries = max(1, int(limit_s / self.POLL_S))
        while not self.try_acquire():
            tries -= 1
            if not tries:
                raise LocalError(f"{self._what} is in use by another hvconsole and can't be written.")
            self._pause.wait(self.POLL_S)
        try:
            yield
        finally:
            self.release()


if os.name == "posix":
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)

else:  # pragma: no cover - Windows
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]
