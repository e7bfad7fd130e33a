"""Leases of exports and imports: their state, the URLs of their disks, what goes over them. Any thread.

A disk's content is made up: as many bytes as the disk has used, at most ``MOST_BYTES``, the same ones for each export.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from hvconsole.lab.vsphere.values import Data, Ref, Word, array, long

MOST_BYTES = 3 << 20
TIMEOUT_S = 300.0
_PIECE = 1 << 16
_MAGIC = b"KDMV\x03\x00\x00\x00"


@dataclass(slots=True, eq=False)
class File:
    """One disk of a lease. ``received``: digest of what was uploaded."""

    name: str
    key: str
    import_key: str = ""
    disk_id: str = ""
    size: int = 0
    received: str = ""
    received_bytes: int = 0


@dataclass(slots=True, eq=False)
class Lease:
    """``state`` is initializing, ready, done or error."""

    id: str
    entity: str
    files: list[File] = field(default_factory=list)
    state: str = "initializing"
    error: Data | None = None
    percent: int = 0
    touched: float = field(default_factory=time.monotonic)
    on_abort: list[str] = field(default_factory=list)
    """Ids of VMs that are removed if the lease is aborted."""

    def info(self, address: str) -> Data | None:
        """``HttpNfcLeaseInfo`` of a ready lease."""
        if self.state != "ready":
            return None
        urls = [
            Data(
                "HttpNfcLeaseDeviceUrl",
                key=one.key,
                importKey=one.import_key,
                url=f"https://{address}/nfc/{self.id}/{one.name}",
                sslThumbprint="",
                disk=True,
                targetId=one.name,
                fileSize=long(one.size) if one.size else None,
            )
            for one in self.files
        ]
        return Data(
            "HttpNfcLeaseInfo",
            lease=Ref("HttpNfcLease", self.id),
            entity=Ref("VirtualMachine", self.entity),
            deviceUrl=array("HttpNfcLeaseDeviceUrl", urls),
            totalDiskCapacityInKB=long(sum(one.size for one in self.files) // 1024),
            leaseTimeout=int(TIMEOUT_S),
        )

    def state_word(self) -> Word:
        """The state as an enumeration."""
        return Word("HttpNfcLeaseState", self.state)


class Leases:
    """All leases of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Lease] = {}

    def new(self, entity: str) -> Lease:
        """A lease that is being prepared."""
        lease = Lease(f"session[{secrets.token_hex(8)}]lease", entity)
        with self._lock:
            self._open[lease.id] = lease
        return lease

    def get(self, lease_id: str) -> Lease | None:
        """The lease with that id; one that nobody has touched for long is in error."""
        with self._lock:
            lease = self._open.get(lease_id)
        if lease is not None and lease.state == "ready" and time.monotonic() - lease.touched > TIMEOUT_S:
            lease.state = "error"
            lease.error = Data("LocalizedMethodFault", fault=Data("Timedout"), localizedMessage="The lease timed out.")
        return lease

    def touch(self, lease: Lease, percent: int) -> None:
        """The client is still there."""
        lease.percent = percent
        lease.touched = time.monotonic()

    def open_file(self, lease_id: str, name: str) -> File | None:
        """A file of a ready lease."""
        lease = self.get(lease_id)
        if lease is None or lease.state != "ready":
            return None
        return next((one for one in lease.files if one.name == name), None)


def content(file: File) -> Iterator[bytes]:
    """The bytes of a disk, always the same for the same disk."""
    seed = hashlib.sha256(file.disk_id.encode()).digest()
    piece = (seed * (_PIECE // len(seed) + 1))[:_PIECE]
    left = file.size
    first = True
    while left > 0:
        block = (_MAGIC + piece)[:_PIECE] if first else piece
        first = False
        yield block[:left]
        left -= len(block[:left])
