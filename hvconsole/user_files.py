"""Files that the user asked for, wherever they want them: exports, tables. There completely, or not at all.

Unlike ``private_files``, the folder is the user's: its mode is never touched. Any worker thread.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from hvconsole.errors import InvalidInput, LocalError
from hvconsole.file_lock import take


def check_place(path: Path) -> None:
    """Whether a file may come to ``path``; ask before hours of work, not after them.

    Raises ``InvalidInput`` for a folder, and for a device or a pipe: renaming a file over one would take it away.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # there is nothing yet; whether there can be, writing says
    if stat.S_ISDIR(mode):
        raise InvalidInput(f"{path} is a folder. Name a file in it.")
    if not stat.S_ISREG(mode):
        raise InvalidInput(f"{path} is not an ordinary file. Name another one.")


def check_source(path: Path) -> None:
    """Whether ``path`` is a file that can be read to its end; opening a pipe might wait for ever.

    Raises ``InvalidInput`` for what isn't an ordinary file, ``LocalError`` where there is nothing.
    """
    try:
        mode = path.stat().st_mode
    except OSError as exc:
        raise LocalError(f"The file {path} can't be read.", str(exc)) from exc
    if not stat.S_ISREG(mode):
        raise InvalidInput(f"{path} is not an ordinary file.")


@contextlib.contextmanager
def part_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name only when the body ends well, and is on disk then.

    Its partial form is ``<name>.part``, readable by the owner only, removed on failure. Raises ``LocalError``, and
    ``InvalidInput`` as ``check_place`` does, and while another export is writing the same file.
    """
    check_place(path)
    part = path.with_name(path.name + ".part")
    if _being_written(part):
        raise InvalidInput(f"Another export is writing {path} just now.")
    try:
        # A part left by a crash goes; a link that somebody put there is not followed.
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise LocalError(f"The file {part} can't be written.", str(exc)) from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            take(descriptor)
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise LocalError(f"The file {path} can't be written.", str(exc)) from exc
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def guarded(write: Callable[[bytes], object], path: Path) -> Callable[[bytes], None]:
    """``write`` whose disk errors are ours, not the server's."""

    def sink(piece: bytes) -> None:
        try:
            write(piece)
        except OSError as exc:
            raise LocalError(f"The file {path} can't be written.", str(exc)) from exc

    return sink


def _being_written(part: Path) -> bool:
    try:
        handle = os.open(part, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False  # there is none, or nothing that is ours
    try:
        return not take(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows cannot open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
