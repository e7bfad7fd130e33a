"""Files that belong to the user alone: 0600 in a 0700 folder under any umask, replaced as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hvconsole.errors import LocalError


def private_folder(path: Path) -> Path:
    """Create ``path`` (and parents) readable by the owner only; returns it. Raises ``LocalError``."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            path.chmod(0o700)
    except OSError as exc:
        raise LocalError(f"The folder {path} can't be created or made private.", str(exc)) from exc
    return path


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
