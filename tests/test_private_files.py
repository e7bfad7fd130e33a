"""Files of the user alone: whatever the umask, whatever folder they are put into, whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hvconsole.errors import LocalError
from hvconsole.private_files import private_folder, write_private

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_what_is_made_belongs_to_the_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "hvconsole" / "settings.json"
    write_private(path, b"{}")
    assert (mode(path.parent), mode(path)) == (0o700, 0o600)


@pytest.mark.parametrize("open_to_read", [0o700, 0o750, 0o755])
def test_a_folder_that_was_there_before_stays_as_open_as_it_was(tmp_path: Path, open_to_read: int) -> None:
    """HVCONSOLE_HOME may name any folder: one that others look into must not be closed to them."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(open_to_read)
    write_private(shared / "settings.json", b"{}")
    assert (mode(shared), mode(shared / "settings.json")) == (open_to_read, 0o600)


def test_nobody_else_may_change_the_users_own_folder(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    private_folder(loose)
    assert mode(loose) == 0o755


def test_a_folder_for_everybody_is_refused_and_left_alone(tmp_path: Path) -> None:
    """As /tmp is: closing it would harm everybody, leaving it open would let others change what we trust."""
    everybody = tmp_path / "tmp"
    everybody.mkdir()
    everybody.chmod(0o1777)
    with pytest.raises(LocalError, match="Other users can change"):
        write_private(everybody / "certificates.json", b"{}")
    assert mode(everybody) == 0o777 | stat.S_ISVTX
    assert list(everybody.iterdir()) == []


def test_what_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="can't be created"):
        private_folder(tmp_path / "file")
    with pytest.raises(LocalError, match="can't be created"):
        write_private(tmp_path / "file" / "x", b"")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    write_private(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LocalError, match="can't be written") as raised:
        write_private(path, b"new")
    assert "No space left" in raised.value.detail
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
