"""XVA archives: a tar with ova.xml (the records) and the disks in pieces of 1 MiB with checksums.

The lab's disks are empty, so an archive holds the first and the last pieces of each, marked with the disk's uuid.
Connection threads.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hvconsole.lab import errors
from hvconsole.lab import lifecycle as life
from hvconsole.lab.objects import Drive, Guest, Nic, Snapshot, Storage, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.xapi import refs, xmlrpc
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.pool import Pool
from hvconsole.lab.xapi.values import NULL, to_xml

_PIECE = 1 << 20
_PIECES_PER_DISK = 6
_OVA_CAP = 16 << 20
_LARGEST_MEMBER = 64 << 20
_ZSTD_BLOCK = 128 << 10


@dataclass(frozen=True, slots=True)
class Piece:
    """A member of the archive."""

    name: str
    data: bytes


def plan(pool: Pool, subject: Vm | Snapshot) -> Iterator[Piece]:
    """The members of the archive of ``subject``, the description first."""
    with pool.world.lock:
        objects, disks = _objects(pool, subject)
        version = {
            "hostname": "lab",
            "date": "2024-09-10",
            "product_version": "8.3.0",
            "product_brand": "XCP-ng",
            "build_number": "cloud",
            "xapi_major": "24",
            "xapi_minor": "19",
            "export_vsn": "2",
        }
        ova = to_xml({"version": version, "objects": objects}).encode()
    yield Piece("ova.xml", ova)
    for name, uuid, size in disks:
        last = max(0, (size - 1) // _PIECE)
        for number in sorted({*range(min(last + 1, _PIECES_PER_DISK)), last}):
            data = (f"{uuid} {number}\n".encode() + b"\0" * _PIECE)[:_PIECE]
            yield Piece(f"{name}/{number:08d}", data)
            yield Piece(f"{name}/{number:08d}.checksum", hashlib.sha1(data, usedforsecurity=False).hexdigest().encode())


def _objects(pool: Pool, subject: Vm | Snapshot) -> tuple[list[dict[str, Any]], list[tuple[str, str, int]]]:
    """The records that belong to the archive, with references replaced by "Ref:n", and the disks."""
    db, names = pool.db, {NULL: NULL}
    rows: list[tuple[str, str]] = [("VM", refs.ref(subject))]
    disks: list[tuple[str, str, int]] = []
    for drive in subject.drives:
        rows.append(("VBD", refs.ref(drive)))
        disk = pool.world.disks.get(drive.disk_id or "")
        if disk is not None and not disk.is_iso:
            rows.append(("VDI", refs.ref(disk)))
    rows += [("VIF", refs.ref(nic)) for nic in subject.nics]
    rows += [
        ("network", ref) for ref in sorted({db.get("VIF", refs.ref(nic), "network") for nic in subject.nics} - {NULL})
    ]
    for number, (_, ref) in enumerate(rows):
        names[ref] = f"Ref:{number}"
    objects = []
    for class_name, ref in rows:
        fields = {name: _renamed(value, names) for name, value in db.row(class_name, ref).fields.items()}
        if "current_operations" in fields:
            fields["current_operations"] = {}
        objects.append({"class": class_name, "id": names[ref], "snapshot": fields})
        if class_name == "VDI":
            disks.append((names[ref], fields["uuid"], fields["virtual_size"]))
    return objects, disks


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("OpaqueRef:"):
        return names.get(value, NULL)
    if isinstance(value, list):
        return [
            names[item] if item in names else item
            for item in value
            if not (isinstance(item, str) and item.startswith("OpaqueRef:") and item not in names)
        ]
    return value


def archive(pieces: list[Piece]) -> Iterator[bytes]:
    """The tar, member by member."""
    for piece in pieces:
        info = tarfile.TarInfo(piece.name)
        info.size = len(piece.data)
        padding = -len(piece.data) % tarfile.BLOCKSIZE
        yield info.tobuf(tarfile.USTAR_FORMAT) + piece.data + b"\0" * padding
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def zstd_frame(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A Zstandard frame of stored blocks: valid for every reader, without a compressor."""
    yield b"\x28\xb5\x2f\xfd\x00\x58"  # magic, no content size or checksum, a window of 2 MiB
    for chunk in chunks:
        out = bytearray()
        for start in range(0, len(chunk), _ZSTD_BLOCK):
            block = chunk[start : start + _ZSTD_BLOCK]
            out += (len(block) << 3).to_bytes(3, "little") + block
        yield bytes(out)
    yield (1).to_bytes(3, "little")  # an empty last block


class Bounded(io.RawIOBase):
    """The request's body: at most ``length`` bytes of ``source``, unpacked if it is gzip."""

    def __init__(self, source: io.BufferedIOBase, length: int) -> None:
        super().__init__()
        self._source = source
        self._left = length
        self.received = 0
        self._buffer = self._take(2)
        self._unpacker = zlib.decompressobj(31) if self._buffer == b"\x1f\x8b" else None

    def _take(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        self.received += len(data)
        return data

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes; fewer only at the end."""
        wanted = _LARGEST_MEMBER if size < 0 else size
        out = bytearray()
        while len(out) < wanted:
            piece = self._some(wanted - len(out))
            if not piece:
                break
            out += piece
        return bytes(out)

    def _some(self, size: int) -> bytes:
        if self._unpacker is None:
            if self._buffer:
                piece, self._buffer = self._buffer[:size], self._buffer[size:]
                return piece
            return self._take(min(size, _PIECE))
        while True:
            packed = self._unpacker.unconsumed_tail or self._buffer or self._take(64 << 10)
            self._buffer = b""
            if not packed:
                return b""
            try:
                piece = self._unpacker.decompress(packed, size)
            except zlib.error:
                raise Failure("IMPORT_ERROR_GENERIC", "the compressed data is damaged") from None
            if piece or self._unpacker.eof:
                return piece


def receive(pool: Pool, task: Task, body: Bounded, storage: Storage, *, restore: bool) -> list[str]:
    """Read an archive and make its VM; the references of the VMs made. ``restore`` keeps MAC addresses."""
    made: Vm | None = None
    world = pool.world
    try:
        with tarfile.open(fileobj=body, mode="r|", errorlevel=1) as tar:
            for member in tar:
                if member.size > _LARGEST_MEMBER:
                    raise Failure("IMPORT_ERROR_GENERIC", "a member is too large")
                content = tar.extractfile(member)
                data = content.read() if content is not None else b""
                if made is None:
                    if member.name != "ova.xml":
                        raise Failure("IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", member.name)
                    made = _make(pool, task, data, storage, restore=restore)
                world.work(task, world.timing.copy / 40, start=task.progress, end=min(0.95, task.progress + 0.02))
    except tarfile.TarError:
        _undo(pool, made, task)
        raise Failure("IMPORT_ERROR_PREMATURE_EOF") from None
    except (Failure, errors.WorldError, OSError):
        _undo(pool, made, task)
        raise
    if made is None:
        raise Failure("IMPORT_ERROR_PREMATURE_EOF")
    with world.lock:
        made.operations.pop(task.id, None)
        world.running.pop(task.id, None)
        world.changed(made)
        return [refs.ref(made)]


def _undo(pool: Pool, made: Vm | None, task: Task) -> None:
    if made is None:
        return
    with pool.world.lock:
        made.operations.pop(task.id, None)
        pool.world.running.pop(task.id, None)
        for drive in made.drives:
            disk = pool.world.disks.get(drive.disk_id or "")
            if disk is not None:
                pool.world.remove(disk)
        pool.world.remove(made)


def _make(pool: Pool, task: Task, ova: bytes, storage: Storage, *, restore: bool) -> Vm:
    """The VM that ova.xml describes, entered as being imported."""
    if len(ova) > _OVA_CAP:
        raise Failure("IMPORT_ERROR_GENERIC", "ova.xml is too large")
    try:
        document = xmlrpc.read_value(ova)
        objects = {one["id"]: (one["class"], one["snapshot"]) for one in document["objects"]}
        record = next(fields for class_name, fields in objects.values() if class_name == "VM")
        name, vcpus, memory = record["name_label"], int(record["VCPUs_at_startup"]), int(record["memory_static_max"])
    except (xmlrpc.Malformed, KeyError, TypeError, ValueError, StopIteration, AttributeError):
        raise Failure("IMPORT_ERROR_GENERIC", "ova.xml cannot be read") from None
    world = pool.world
    with world.lock:
        vm = Vm(
            id=world.new_id(),
            site_id=pool.site.id,
            name=str(name),
            vcpus=max(1, vcpus),
            memory_bytes=memory,
            description=str(record.get("name_description", "")),
            created=world.now(),
            is_template=record.get("is_a_template") is True and record.get("is_a_snapshot") is not True,
            guest=Guest(os="Imported", tools=True, tools_version="8.4.0-1", distro="debian"),
        )
        vm.operations[task.id] = "import"
        world.running[task.id] = task
        _devices(pool, vm, objects, storage, restore=restore)
        world.add(vm)
        other = record.get("other_config")
        if isinstance(other, dict):
            pool.db.update("VM", refs.ref(vm), {"other_config": {str(key): str(value) for key, value in other.items()}})
        return vm


def _devices(pool: Pool, vm: Vm, objects: dict[str, tuple[str, Any]], storage: Storage, *, restore: bool) -> None:
    world = pool.world
    by_bridge = {network.bridge: network for network in world.of_site(world.networks.values(), pool.site.id)}
    default = next(iter(by_bridge.values()), None)
    try:
        for class_name, fields in objects.values():
            if class_name == "VBD":
                vm.drives.append(_drive(pool, fields, objects, storage))
            elif class_name == "VIF":
                network = objects.get(fields.get("network", ""), ("", {}))[1]
                found = by_bridge.get(network.get("bridge", ""), default)
                vm.nics.append(
                    Nic(
                        id=world.new_id(),
                        device=str(fields["device"]),
                        mac=str(fields["MAC"]) if restore else world.new_mac(),
                        network_id=found.id if found is not None else None,
                    )
                )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Failure("IMPORT_ERROR_GENERIC", "ova.xml cannot be read") from None


def _drive(pool: Pool, fields: dict[str, Any], objects: dict[str, tuple[str, Any]], storage: Storage) -> Drive:
    world = pool.world
    drive = Drive(
        id=world.new_id(),
        device=str(fields["userdevice"]),
        is_cd=fields["type"] == "CD",
        read_only=fields["mode"] == "RO",
        bootable=fields.get("bootable") is True,
    )
    described = objects.get(fields["VDI"])
    if described is not None and described[0] == "VDI" and not drive.is_cd:
        disk = life.new_disk(
            world, pool.site.id, storage.id, str(described[1].get("name_label", "")), int(described[1]["virtual_size"])
        )
        drive.disk_id = disk.id
    return drive
