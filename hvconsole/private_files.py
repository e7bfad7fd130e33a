"""Files that belong to the user alone: 0600 in a 0700 folder under any umask, replaced as a whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from hvconsole.errors import LocalError

LARGEST_BYTES = 64 << 20
"""Largest file of ours that is read: one of another size was not written by this program."""


def private_folder(path: Path) -> Path:
    """Create ``path`` (and parents) readable by the owner only; returns it. Raises ``LocalError``.

    One that is there already (``HVCONSOLE_HOME`` may name any) stays readable to others, but not writable; one that is
    meant for everybody is refused.
    """
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.name == "posix":
                path.chmod(0o700)
        elif os.name == "posix":
            _keep_others_from_changing(path)
    except OSError as exc:
        raise LocalError(f"The folder {path} can't be created or made private.", str(exc)) from exc
    return path


def _keep_others_from_changing(path: Path) -> None:
    found = path.stat()
    if not found.st_mode & 0o022:
        return
    if found.st_mode & stat.S_ISVTX or found.st_uid != os.getuid():
        raise LocalError(f"Other users can change the folder {path}. Choose one that belongs to you alone.")
    path.chmod(stat.S_IMODE(found.st_mode) & ~0o022)


def read_private(path: Path) -> bytes:
    """The content of a file of ours. Raises ``OSError`` also for a pipe or device, which would have no end, and for a
    file larger than any of ours."""
    # O_NONBLOCK: opening a pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
        if found.st_size > LARGEST_BYTES:
            raise OSError(errno.EFBIG, "it is far too large", str(path))
        return file.read(LARGEST_BYTES)


def others_can_write(path: Path) -> bool:
    """Whether another user of this computer (not root) owns ``path`` or can change what is in it."""
    if os.name != "posix":
        return False
    file, folder = path.stat(), path.parent.stat()
    reachable = folder.st_uid != os.getuid() or folder.st_mode & 0o011
    return file.st_uid not in (os.getuid(), 0) or bool(file.st_mode & 0o022 and reachable)


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data`` atomically: written beside it, synced, renamed. Raises ``LocalError``."""
    private_folder(path.parent)
    name = ""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        name = ""
        sync_folder(path.parent)
    except OSError as exc:
        raise LocalError(f"The file {path} can't be written.", str(exc)) from exc
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make a rename in ``path`` durable, where the platform knows how."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
