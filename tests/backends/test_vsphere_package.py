"""Packages of strangers: what a hostile OVF or OVA tries, and that an honest one is understood."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hvconsole.backends.vsphere_package import check_digests, open_package
from hvconsole.errors import InvalidInput, LocalError

DISK = b"a disk" * 1000


def descriptor(
    href: str = "disk.vmdk",
    *,
    size: str = "",
    capacity: str = "1",
    units: str = "byte * 2^30",
    extra: str = "",
    head: str = "",
) -> bytes:
    given = f' ovf:size="{size}"' if size else ""
    return (
        f'<?xml version="1.0"?>{head}<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" '
        f'xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References><File ovf:href="{href}" ovf:id="f"'
        f"{given}{extra}/>"
        f'</References><DiskSection><Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="{units}" '
        'ovf:diskId="d" ovf:fileRef="f"/></DiskSection><NetworkSection>'
        '<Network ovf:name="VM Network"/></NetworkSection>'
        '<VirtualSystem ovf:id="web"><Name>web</Name></VirtualSystem></Envelope>'
    ).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest(ovf: bytes, disk: bytes = DISK, algorithm: str = "SHA256") -> bytes:
    kind = {"SHA256": hashlib.sha256, "SHA1": hashlib.sha1, "SHA512": hashlib.sha512}[algorithm]
    return (
        f"{algorithm}(web.ovf)= {kind(ovf).hexdigest()}\n{algorithm}(disk.vmdk)= {kind(disk).hexdigest()}\n"
    ).encode()


def ovf_folder(folder: Path, ovf: bytes | None = None, mf: bytes | None = None, disk: bytes | None = DISK) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "web.ovf").write_bytes(descriptor() if ovf is None else ovf)
    if mf is not None:
        (folder / "web.mf").write_bytes(mf)
    if disk is not None:
        (folder / "disk.vmdk").write_bytes(disk)
    return folder / "web.ovf"


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def ova(path: Path, *members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return path


def honest(path: Path, form: int = tarfile.GNU_FORMAT) -> Path:
    ovf = descriptor(size=str(len(DISK)))
    return ova(path, member("web.ovf", ovf), member("web.mf", manifest(ovf)), member("disk.vmdk", DISK), form=form)


class TestHonest:
    @pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
    def test_ova(self, tmp_path: Path, form: int) -> None:
        package = open_package(honest(tmp_path / "web.ova", form))
        assert (package.name, package.networks, package.total_bytes) == ("web", ("VM Network",), len(DISK))
        seen: list[int] = []
        check_digests(package, seen.append)
        assert seen[-1] == sum(package.members[name].size for name in ("web.ovf", "disk.vmdk"))

    def test_ovf_with_and_without_manifest(self, tmp_path: Path) -> None:
        assert open_package(ovf_folder(tmp_path / "a")).digests == {}
        check_digests(open_package(ovf_folder(tmp_path / "b", mf=manifest(descriptor()))), lambda done: None)
        check_digests(
            open_package(ovf_folder(tmp_path / "c", mf=manifest(descriptor(), algorithm="SHA512"))), lambda done: None
        )

    def test_a_link_to_the_ova_that_the_user_chose_is_his_business(self, tmp_path: Path) -> None:
        honest(tmp_path / "real.ova")
        (tmp_path / "web.ova").symlink_to(tmp_path / "real.ova")
        check_digests(open_package(tmp_path / "web.ova"), lambda done: None)


OUTSIDE = [
    "../disk.vmdk",
    "/etc/passwd",
    "C:\\disk.vmdk",
    "..\\disk.vmdk",
    "\\\\server\\share\\d.vmdk",
    "a/../../d.vmdk",
    "https://evil.example/d.vmdk",
    "file:///etc/passwd",
    "",
    ".",
    "..",
    "sub/disk.vmdk",
    "a&#10;b",
    "x" * 300,
]


class TestNamesThatLeadOutside:
    @pytest.mark.parametrize("href", OUTSIDE)
    def test_in_the_descriptor(self, tmp_path: Path, href: str) -> None:
        (tmp_path / "disk.vmdk").write_bytes(DISK)
        with pytest.raises(InvalidInput):
            open_package(ovf_folder(tmp_path / "p", descriptor(href)))

    @pytest.mark.parametrize("name", [name for name in OUTSIDE if name and "&" not in name])
    def test_in_the_archive(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InvalidInput):
            open_package(ova(tmp_path / "x.ova", member("web.ovf", descriptor()), member(name, DISK)))

    @pytest.mark.parametrize("name", ["../disk.vmdk", "/etc/passwd", "a\\b"])
    def test_in_the_manifest(self, tmp_path: Path, name: str) -> None:
        listed = manifest(descriptor()) + f"SHA256({name})= {'0' * 64}\n".encode()
        with pytest.raises(InvalidInput):
            open_package(ovf_folder(tmp_path / "p", mf=listed))


class TestThingsThatAreNoFiles:
    def test_links_beside_an_ovf(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(DISK)
        path = ovf_folder(tmp_path / "p", disk=None)
        (tmp_path / "p" / "disk.vmdk").symlink_to(secret)
        with pytest.raises(InvalidInput):
            open_package(path)

    def test_a_manifest_that_is_a_link(self, tmp_path: Path) -> None:
        path = ovf_folder(tmp_path / "p")
        (tmp_path / "p" / "web.mf").symlink_to("/dev/zero")
        with pytest.raises(InvalidInput):
            open_package(path)

    def test_pipes_and_folders(self, tmp_path: Path) -> None:
        path = ovf_folder(tmp_path / "p", disk=None)
        os.mkfifo(tmp_path / "p" / "disk.vmdk")
        with pytest.raises(InvalidInput):
            open_package(path)
        (tmp_path / "p" / "disk.vmdk").unlink()
        (tmp_path / "p" / "disk.vmdk").mkdir()
        with pytest.raises(InvalidInput):
            open_package(path)

    @pytest.mark.parametrize(
        "kind",
        [
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.BLKTYPE,
            tarfile.DIRTYPE,
            tarfile.FIFOTYPE,
            tarfile.CONTTYPE,
            tarfile.GNUTYPE_SPARSE,
            b"Z",
        ],
    )
    def test_in_the_archive(self, tmp_path: Path, kind: bytes) -> None:
        odd = member("disk.vmdk", b"", type=kind, linkname="/etc/passwd")
        with pytest.raises(InvalidInput):
            open_package(ova(tmp_path / "x.ova", member("web.ovf", descriptor()), odd))

    def test_sparse_files_and_links_by_extended_header(self, tmp_path: Path) -> None:
        for header in ({"GNU.sparse.major": "1"}, {"linkpath": "/etc/passwd"}):
            odd, data = member("disk.vmdk", DISK, pax_headers=header)
            with pytest.raises(InvalidInput):
                open_package(
                    ova(tmp_path / "x.ova", member("web.ovf", descriptor()), (odd, data), form=tarfile.PAX_FORMAT)
                )


class TestSizesThatCannotBe:
    @pytest.mark.parametrize(
        "size", ["1000000000000000000", "-1", "1e9", "99999999999999999999999", "７", str(len(DISK) - 1)]
    )
    def test_file_sizes(self, tmp_path: Path, size: str) -> None:
        with pytest.raises(InvalidInput):
            open_package(ovf_folder(tmp_path / "p", descriptor(size=size)))

    @pytest.mark.parametrize(
        ("capacity", "units"),
        [
            ("1000000000000000000", "byte"),
            ("999999", "byte * 2^40"),
            ("1", "byte * 2^9999"),
            ("1", "byte * 99999999^40"),
            ("-5", "byte"),
        ],
    )
    def test_disk_capacities(self, tmp_path: Path, capacity: str, units: str) -> None:
        with pytest.raises(InvalidInput):
            open_package(ovf_folder(tmp_path / "p", descriptor(capacity=capacity, units=units)))

    def test_an_archive_that_promises_more_than_there_is(self, tmp_path: Path) -> None:
        path = honest(tmp_path / "x.ova")
        path.write_bytes(path.read_bytes()[: -(len(DISK) + 12_000)])
        with pytest.raises(InvalidInput):
            open_package(path)

    def test_a_size_in_an_extended_header(self, tmp_path: Path) -> None:
        odd, data = member("disk.vmdk", DISK, pax_headers={"size": "1000000000000000000"})
        with pytest.raises(InvalidInput):
            open_package(ova(tmp_path / "x.ova", member("web.ovf", descriptor()), (odd, data), form=tarfile.PAX_FORMAT))

    def test_an_extended_header_of_a_megabyte(self, tmp_path: Path) -> None:
        odd, data = member("disk.vmdk", DISK, pax_headers={"comment": "x" * (1 << 20)})
        with pytest.raises(InvalidInput):
            open_package(ova(tmp_path / "x.ova", member("web.ovf", descriptor()), (odd, data), form=tarfile.PAX_FORMAT))

    def test_a_huge_descriptor(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput):
            open_package(ovf_folder(tmp_path / "p", descriptor() + b" " * (5 << 20)))

    def test_too_many_members(self, tmp_path: Path) -> None:
        many = [member(f"f{number}", b"") for number in range(400)]
        with pytest.raises(InvalidInput):
            open_package(ova(tmp_path / "x.ova", member("web.ovf", descriptor()), *many))


def without_line(mf: bytes) -> bytes:
    return mf.splitlines()[0] + b"\n"


BROKEN: list[Callable[[bytes], bytes]] = [
    without_line,
    lambda mf: mf + mf,
    lambda mf: b"",
    lambda mf: b"this is no manifest\n",
    lambda mf: mf.replace(b"SHA256", b"MD5"),
    lambda mf: mf.replace(b"SHA256", b"SHA257"),
    lambda mf: manifest(descriptor(), algorithm="SHA1"),
]


class TestDigests:
    @pytest.mark.parametrize("spoil", BROKEN)
    def test_manifests_that_are_refused(self, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
        with pytest.raises(InvalidInput):
            open_package(ovf_folder(tmp_path / "p", mf=spoil(manifest(descriptor()))))

    @pytest.mark.parametrize("wrong", ["web.ovf", "disk.vmdk"])
    def test_a_wrong_digest(self, tmp_path: Path, wrong: str) -> None:
        data = descriptor() if wrong == "web.ovf" else DISK
        mf = manifest(descriptor()).replace(sha256(data).encode(), b"0" * 64)
        package = open_package(ovf_folder(tmp_path / "p", mf=mf))
        with pytest.raises(InvalidInput, match=wrong):
            check_digests(package, lambda done: None)

    def test_a_digest_of_something_that_is_not_there(self, tmp_path: Path) -> None:
        mf = manifest(descriptor()) + f"SHA256(extra.vmdk)= {'0' * 64}\n".encode()
        package = open_package(ovf_folder(tmp_path / "p", mf=mf))
        with pytest.raises(InvalidInput):
            check_digests(package, lambda done: None)

    def test_a_file_that_changes_after_it_was_looked_at(self, tmp_path: Path) -> None:
        package = open_package(ovf_folder(tmp_path / "p", mf=manifest(descriptor())))
        (tmp_path / "p" / "disk.vmdk").write_bytes(b"short")
        with pytest.raises((InvalidInput, LocalError)):
            check_digests(package, lambda done: None)


class TestDescriptors:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not xml",
            b"<Other/>",
            descriptor(head='<!DOCTYPE x [<!ENTITY a "b">]>'),
            descriptor(head='<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
            descriptor().decode().encode("utf-16"),
            b"<a>" * 5000,
            descriptor(extra=' ovf:compression="gzip"'),
            descriptor(extra=' ovf:chunkSize="1000"'),
            descriptor().replace(b"<VirtualSystem ", b"<VirtualSystemCollection/><VirtualSystem "),
            descriptor().replace(b"</References>", b'<File ovf:href="disk.vmdk" ovf:id="g"/></References>'),
            descriptor("missing.vmdk"),
        ],
    )
    def test_refused(self, tmp_path: Path, body: bytes) -> None:
        with pytest.raises(InvalidInput):
            open_package(ovf_folder(tmp_path / "p", body))

    def test_archives_without_descriptor_or_with_two_or_not_first(self, tmp_path: Path) -> None:
        ovf = member("web.ovf", descriptor())
        for members in (
            [member("disk.vmdk", DISK)],
            [ovf, member("b.ovf", descriptor()), member("disk.vmdk", DISK)],
            [member("disk.vmdk", DISK), ovf],
            [],
        ):
            with pytest.raises(InvalidInput):
                open_package(ova(tmp_path / "x.ova", *members))

    def test_double_members(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput):
            open_package(
                ova(
                    tmp_path / "x.ova",
                    member("web.ovf", descriptor()),
                    member("disk.vmdk", DISK),
                    member("disk.vmdk", b"another"),
                )
            )

    def test_other_files_and_missing_ones(self, tmp_path: Path) -> None:
        (tmp_path / "x.vmdk").write_bytes(DISK)
        with pytest.raises(InvalidInput):
            open_package(tmp_path / "x.vmdk")
        with pytest.raises((InvalidInput, LocalError)):
            open_package(tmp_path / "nothing.ova")
        with pytest.raises((InvalidInput, LocalError)):
            open_package(tmp_path / "nothing.ovf")
