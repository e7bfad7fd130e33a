"""What the user exports or chooses for import: complete or not there, and nothing else harmed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hvconsole.errors import InvalidInput, LocalError
from hvconsole.user_files import check_source, part_file


def test_export_gets_its_name_at_the_end_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "vm.xva"
    with part_file(path) as file:
        file.write(b"x")
        assert not path.exists()
        assert (tmp_path / "vm.xva.part").stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"x"
    assert [p.name for p in tmp_path.iterdir()] == ["vm.xva"]


def test_failed_export_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "vm.xva"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), part_file(path) as file:
        file.write(b"new" * (1 // 0))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["vm.xva"]


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(LocalError), part_file(tmp_path / "none" / "vm.xva"):
        pytest.fail("this would have begun")


def test_folder_of_the_export_stays_as_open_as_it_was(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o775)
    with part_file(shared / "vm.xva") as file:
        file.write(b"x")
    assert shared.stat().st_mode & 0o777 == 0o775


def test_folder_in_place_of_a_file_is_refused_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a folder"), part_file(tmp_path):
        pytest.fail("this would have begun")


@pytest.mark.skipif(os.name != "posix", reason="pipes are files on POSIX systems only")
def test_pipe_is_neither_replaced_nor_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InvalidInput, match="not an ordinary file"), part_file(pipe):
        pytest.fail("this would have begun")
    assert pipe.is_fifo()
    with pytest.raises(InvalidInput, match="not an ordinary file"):
        check_source(pipe)


@pytest.mark.skipif(os.name != "posix", reason="links need rights on other systems")
def test_link_that_somebody_laid_out_for_the_partial_file_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / "vm.xva.part").symlink_to(precious)
    with part_file(tmp_path / "vm.xva") as file:
        file.write(b"x")
    assert precious.read_bytes() == b"mine"
    assert (tmp_path / "vm.xva").read_bytes() == b"x"
    assert not (tmp_path / "vm.xva").is_symlink()


def test_what_a_crash_left_half_done_gives_way(tmp_path: Path) -> None:
    (tmp_path / "vm.xva.part").write_bytes(b"half")
    with part_file(tmp_path / "vm.xva") as file:
        file.write(b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["vm.xva"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file can't be removed")
def test_two_exports_to_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "vm.xva"
    with part_file(path) as file:
        file.write(b"first ")
        with pytest.raises(InvalidInput, match="Another export"), part_file(path):
            pass
        file.write(b"all of it")
    assert path.read_bytes() == b"first all of it"
    with part_file(path) as file:
        file.write(b"later")
    assert path.read_bytes() == b"later"
