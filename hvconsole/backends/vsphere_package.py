"""OVF and OVA packages on this computer: reading hostile ones safely, writing ours without leaving halves behind.

Nothing is ever unpacked: files of a package are streamed from where they are. Refused are names that lead outside the
folder, links and devices, double members, sizes that can't be, digests that don't fit. Pure file work; any worker.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hvconsole.backends.xmlguard import check_xml
from hvconsole.errors import BadReply, InvalidInput, LocalError
from hvconsole.text import safe_text, unsendable
from hvconsole.user_files import check_source

DESCRIPTOR_BYTES = 4 << 20
MANIFEST_BYTES = 1 << 20
HEADER_BYTES = 64 << 10
"""Largest extended tar header."""
MEMBERS = 256
"""Most files of a package."""
LARGEST_DISK_BYTES = 62 << 40
"""The largest virtual disk that vSphere can have."""
PIECE_BYTES = 1 << 18
_ELEMENTS = 200_000
_BLOCK = 512
_LINE = re.compile(r"^(SHA[0-9-]+)\s*\((.*)\)\s*=\s*([0-9A-Fa-f]+)\s*$")
_ALGORITHMS = {"SHA256": "sha256", "SHA-256": "sha256", "SHA384": "sha384", "SHA512": "sha512", "SHA-512": "sha512"}
_WEAK = {"SHA1", "SHA-1"}


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a package: where its bytes are."""

    name: str
    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that was looked through. ``files``: name → member, those that the descriptor references."""

    name: str
    descriptor: str
    files: dict[str, Member]
    networks: tuple[str, ...] = ()
    digests: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name → (algorithm, hex digest); empty without a manifest."""
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """Size of all referenced files."""
        return sum(member.size for member in self.files.values())


def open_package(path: Path) -> Package:
    """Look through an .ovf or .ova file. Raises ``InvalidInput`` for what is refused, ``LocalError`` for I/O."""
    try:
        if path.suffix.lower() == ".ova":
            check_source(path)
            members = {member.name: member for member in _tar_members(path)}
        elif path.suffix.lower() == ".ovf":
            members = {path.name: _regular(path, path.name)}
            manifest = path.with_suffix(".mf")
            if os.path.lexists(manifest):
                members[manifest.name] = _regular(manifest, manifest.name)
        else:
            raise InvalidInput("Choose an .ovf or .ova file.")
        return _package(path, members)
    except OSError as exc:
        raise LocalError(f"“{safe_text(path.name)}” can't be read.", exc.strerror or str(exc)) from exc


def _package(path: Path, members: dict[str, Member]) -> Package:
    descriptors = [name for name in members if name.lower().endswith(".ovf")]
    if len(descriptors) != 1 or (path.suffix.lower() == ".ova" and next(iter(members)) != descriptors[0]):
        raise InvalidInput("An OVA file has exactly one descriptor (.ovf), and it comes first.")
    body = read_all(members[descriptors[0]], DESCRIPTOR_BYTES)
    name, listed, networks = _read_descriptor(body)
    files: dict[str, Member] = {}
    for href, size in listed:
        plain_name(href)
        if path.suffix.lower() == ".ovf" and href not in members:
            members[href] = _regular(path.parent / href, href)
        member = members.get(href)
        if member is None:
            raise InvalidInput(f"The package lacks the file “{safe_text(href)}”.")
        if size is not None and size != member.size:
            raise InvalidInput(f"The file “{safe_text(href)}” isn't as large as the descriptor says.")
        if href in files:
            raise InvalidInput(f"The descriptor names the file “{safe_text(href)}” twice.")
        files[href] = member
    manifests = [one for one in members if one.lower().endswith(".mf")]
    digests = _read_manifest(read_all(members[manifests[0]], MANIFEST_BYTES)) if manifests else {}
    for needed in (descriptors[0], *files):
        if manifests and needed not in digests:
            raise InvalidInput(f"The manifest has no digest for “{safe_text(needed)}”.")
    text = body.decode("utf-8")
    return Package(
        name=name or path.stem, descriptor=text, files=files, networks=networks, digests=digests, members=members
    )


def plain_name(name: str) -> None:
    """Refuse a file name that is anything but a name in the package's own folder. Raises ``InvalidInput``."""
    if (
        not name
        or name in (".", "..")
        or len(name) > 255
        or any(char in name for char in '/\\:*?"<>|')
        or unsendable(name)
        or any(ord(char) < 0x20 for char in name)
    ):
        raise InvalidInput(f"The package names a file outside its own folder: “{safe_text(name, 80)}”.")


def _regular(path: Path, name: str) -> Member:
    """A real file (no link, device or pipe). Raises ``InvalidInput``."""
    found = path.lstat() if os.path.lexists(path) else None
    if found is None:
        raise InvalidInput(f"The package lacks the file “{safe_text(name)}”.")
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput(f"“{safe_text(name)}” is a link or not a file; it is not followed.")
    return Member(name, path, 0, found.st_size)


@contextlib.contextmanager
def opened(member: Member) -> Iterator[BinaryIO]:
    """The member's bytes; never through a link put there meanwhile."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    # the .ova itself was chosen by the user and may be a link
    descriptor = os.open(member.path, flags if member.offset == 0 else flags & ~getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as stream:
        stream.seek(member.offset)
        yield stream


def pieces(member: Member) -> Iterator[bytes]:
    """The member's bytes in pieces. Raises ``LocalError`` when the file is shorter than it was."""
    left = member.size
    try:
        with opened(member) as stream:
            while left:
                piece = stream.read(min(PIECE_BYTES, left))
                if not piece:
                    raise LocalError(f"“{safe_text(member.name)}” became shorter while it was read.")
                left -= len(piece)
                yield piece
    except OSError as exc:
        raise LocalError(f"“{safe_text(member.name)}” can't be read.", exc.strerror or str(exc)) from exc


def read_all(member: Member, most: int) -> bytes:
    """A small member as a whole. Raises ``InvalidInput`` when it is larger than ``most`` bytes."""
    if member.size > most:
        raise InvalidInput(f"“{safe_text(member.name)}” is far too large for what it should be.")
    return b"".join(pieces(member))


def check_digests(package: Package, progress: Callable[[int], None]) -> None:
    """Compare every file with the manifest; ``progress`` gets the bytes read so far, and may raise to stop.

    Raises ``InvalidInput`` for a wrong digest.
    """
    done = 0
    for name, (algorithm, wanted) in package.digests.items():
        member = package.members.get(name)
        if member is None:
            raise InvalidInput(f"The manifest names “{safe_text(name)}”, which isn't in the package.")
        digest = hashlib.new(algorithm)
        for piece in pieces(member):
            digest.update(piece)
            done += len(piece)
            progress(done)
        if digest.hexdigest() != wanted:
            raise InvalidInput(f"The file “{safe_text(name)}” is damaged or was changed: its digest is wrong.")


# ---- descriptor and manifest -----------------------------------------------------------------------------------


def _read_descriptor(body: bytes) -> tuple[str, list[tuple[str, int | None]], tuple[str, ...]]:
    """(name, [(file, size)], networks). Raises ``InvalidInput``."""
    try:
        check_xml(body, _ELEMENTS)
        body.decode("utf-8")
        root = ET.fromstring(body)
    except BadReply as exc:
        raise InvalidInput("The package's descriptor holds what no descriptor needs.", exc.user_text) from exc
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise InvalidInput("The package's descriptor can't be read.", str(exc)[:200]) from exc
    if _local(root.tag) != "Envelope":
        raise InvalidInput("The package's descriptor is no OVF envelope.")
    files: list[tuple[str, int | None]] = []
    networks: list[str] = []
    name = ""
    for element in root.iter():
        tag = _local(element.tag)
        if tag == "File":
            files.append((_attribute(element, "href"), _size(_attribute(element, "size"))))
            if _attribute(element, "compression") not in ("", "identity") or _attribute(element, "chunkSize"):
                raise InvalidInput("The package's files are compressed or split, which isn't accepted.")
        elif tag == "Disk":
            _check_capacity(element)
        elif tag == "Network":
            networks.append(_attribute(element, "name"))
        elif tag == "VirtualSystem" and not name:
            own = next((child.text for child in element if _local(child.tag) == "Name"), None)
            name = (own or _attribute(element, "id")).strip()
        elif tag == "VirtualSystemCollection":
            raise InvalidInput("The package holds several machines; only packages of one are accepted.")
    if len(files) > MEMBERS:
        raise InvalidInput("The package names too many files.")
    return name, files, tuple(dict.fromkeys(one for one in networks if one))


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _attribute(element: ET.Element, name: str) -> str:
    return next((value for key, value in element.attrib.items() if _local(key) == name), "")


def _size(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 20 or int(text) > LARGEST_DISK_BYTES:
        raise InvalidInput("The package's descriptor names a size that can't be.", text[:40])
    return int(text)


def _check_capacity(element: ET.Element) -> None:
    capacity, units = _attribute(element, "capacity"), _attribute(element, "capacityAllocationUnits")
    if not capacity or capacity.startswith("${"):
        return
    count = _size(capacity)
    power = re.fullmatch(r"byte\s*\*\s*(\d+)\s*\^\s*(\d+)", units.strip())
    factor = 1
    if power:
        base, exponent = int(power.group(1)[:6]), int(power.group(2)[:4])
        if base not in (2, 10, 1024) or exponent > 60:
            raise InvalidInput("The package's descriptor names a size that can't be.", units[:40])
        factor = base**exponent
    if count is not None and count * factor > LARGEST_DISK_BYTES:
        raise InvalidInput("The package's descriptor names a disk larger than vSphere can have.", capacity)


def _read_manifest(body: bytes) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    weak = False
    for line in body.decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        parsed = _LINE.match(line)
        if parsed is None:
            raise InvalidInput("The manifest has a line that can't be read.", line[:120])
        algorithm, name, digest = parsed.group(1).upper(), parsed.group(2), parsed.group(3).lower()
        plain_name(name)
        if algorithm in _WEAK:
            weak = True
            continue
        if algorithm not in _ALGORITHMS:
            raise InvalidInput("The manifest uses a digest that isn't known.", algorithm)
        if name in found:
            raise InvalidInput(f"The manifest has two digests for “{safe_text(name)}”.")
        found[name] = (_ALGORITHMS[algorithm], digest)
    if weak and not found:
        raise InvalidInput(
            "The manifest has SHA-1 digests only, which prove nothing any more. Export the VM again with SHA-256, "
            "or remove the manifest (.mf) if you trust the package."
        )
    if not found:
        raise InvalidInput("The manifest is empty.")
    return found


# ---- tar -------------------------------------------------------------------------------------------------------


def _tar_members(path: Path) -> Iterator[Member]:
    """Regular files of an OVA in order. Reads headers only; refuses everything that is not a plain file."""
    end = path.stat().st_size
    seen: set[str] = set()
    with path.open("rb") as stream:
        position = 0
        name: str | None = None
        size: int | None = None
        while position + _BLOCK <= end:
            stream.seek(position)
            block = stream.read(_BLOCK)
            if block.count(0) == _BLOCK:
                break
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
            except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as exc:
                raise InvalidInput("The OVA file is damaged: a header can't be read.", str(exc)[:120]) from exc
            start = position + _BLOCK
            if info.type in (b"x", b"g", b"L"):
                if not 0 <= info.size <= HEADER_BYTES or start + info.size > end:
                    raise InvalidInput("The OVA file has an oversize header.")
                extra = stream.read(info.size)
                if info.type == b"L":
                    name = extra.rstrip(b"\0").decode("utf-8", "replace")
                elif info.type == b"x":
                    name, size = _pax(extra, name, size)
                position = start + _padded(info.size)
                continue
            if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise InvalidInput("The OVA file holds a link, folder or device; only plain files are accepted.")
            called = name if name is not None else info.name
            length = size if size is not None else info.size
            name = size = None
            plain_name(called)
            if length < 0 or start + length > end:
                raise InvalidInput(f"The OVA file ends in the middle of “{safe_text(called)}”.")
            if called in seen or len(seen) >= MEMBERS:
                raise InvalidInput(f"The OVA file holds “{safe_text(called)}” twice, or too many files.")
            seen.add(called)
            yield Member(called, path, start, length)
            position = start + _padded(length)
    if not seen:
        raise InvalidInput("This is no OVA file.")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _pax(extra: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    for line in extra.split(b"\n"):
        _length, _, rest = line.partition(b" ")
        key, _, value = rest.partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "replace")
        elif key == b"size":
            if not value.isdigit() or len(value) > 20:
                raise InvalidInput("The OVA file names a size that can't be.")
            size = int(value)
        elif key.startswith((b"GNU.sparse", b"linkpath")):
            raise InvalidInput("The OVA file holds a sparse file or link; only plain files are accepted.")
    return name, size


def write_tar(target: Path, files: list[Path]) -> None:
    """Pack files into a plain tar, in this order. Each source is removed once it is in. Raises ``OSError``."""
    with target.open("xb") as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in files:
            info = tarfile.TarInfo(path.name)
            info.size = path.stat().st_size
            info.mode = 0o644
            with path.open("rb") as source:
                archive.addfile(info, source)
            path.unlink()
        archive.close()
        stream.flush()
        os.fsync(stream.fileno())
