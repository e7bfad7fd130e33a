"""Export and import through the server's leases: disks by HTTP over pinned connections, progress, cancel, digests.

Verb threads. A lease is told about progress at least every ten seconds, else the server takes it back; on any trouble
it is aborted, and then the server removes what it had begun. Exports are written under another name beside the
target and renamed at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import ssl
import tempfile
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hvconsole.backends.base import TaskContext, Trust
from hvconsole.backends.certificates import describe
from hvconsole.backends.vsphere_api import vim
from hvconsole.backends.vsphere_devices import read_one
from hvconsole.backends.vsphere_life import check_name
from hvconsole.backends.vsphere_names import shown_name
from hvconsole.backends.vsphere_package import Member, Package, check_digests, open_package, pieces, write_tar
from hvconsole.backends.vsphere_places import best_host, best_store, compute_of, host_record, vm_folder
from hvconsole.backends.vsphere_power import machine, require, vm_state
from hvconsole.backends.vsphere_query import managed_kind
from hvconsole.backends.vsphere_records import NS, Reader, child_text, number_or, octets, text, word
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_tasks import fault_of
from hvconsole.backends.wire import Wire
from hvconsole.backends.wire_calls import CallLimits
from hvconsole.clock import SystemClock
from hvconsole.errors import BadReply, HvError, InvalidInput, LocalError, NotSupported, OutcomeUnknown, Refused
from hvconsole.model import Certificate, ObjectId, Verb
from hvconsole.text import safe_text
from hvconsole.user_files import check_place

TRANSFER = CallLimits(total_s=24 * 3600.0, stall_s=60.0, reply_bytes=1 << 46, elements=30_000)
DESCRIBE = CallLimits(total_s=60.0, stall_s=50.0, reply_bytes=16 << 20, elements=500_000)
READY_S = 120.0
PULSE_S = 10.0
"""How often a lease is told that we are still there; it ends after five minutes without."""
VMDK = "application/x-vnd.vmware-streamVmdk"

# Leases live by the server's clock, so the real time counts.
_clock = SystemClock()


@dataclass(frozen=True, slots=True)
class DeviceUrl:
    """Where one disk goes or comes from."""

    key: str
    import_key: str
    url: str
    is_disk: bool
    size: int


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """What a ready lease offers."""

    entity_id: str
    urls: tuple[DeviceUrl, ...]
    capacity_bytes: int


def lease_info(element: ET.Element) -> LeaseInfo:
    """``HttpNfcLease.info``."""
    urls = tuple(
        DeviceUrl(
            key=child_text(one, "key"),
            import_key=child_text(one, "importKey"),
            url=child_text(one, "url"),
            is_disk=child_text(one, "disk") in ("true", "1"),
            size=number_or(one, "fileSize", 0),
        )
        for one in element.findall(NS + "deviceUrl")
    )
    return LeaseInfo(child_text(element, "entity"), urls, number_or(element, "totalDiskCapacityInKB", 0) * 1024)


_LEASE: Mapping[str, Mapping[str, Reader]] = {"HttpNfcLease": {"state": word, "info": lease_info}}
_CERTIFICATE: Mapping[str, Mapping[str, Reader]] = {"HostSystem": {"name": text, "config.certificate": octets}}
_NAMED: Mapping[str, Mapping[str, Reader]] = {"VirtualMachine": {"name": text, "runtime.host": word}}


# ---- leases ----------------------------------------------------------------------------------------------------


class Lease:
    """A lease that is kept alive and ends in ``complete`` or ``abort``."""

    def __init__(self, session: Session, moid: str) -> None:
        self._session = session
        self._object = session.object(vim.HttpNfcLease, moid)
        self._moid = moid
        self._told_at = _clock.monotonic()

    def ready(self, ctx: TaskContext) -> LeaseInfo:
        """Wait until the server has prepared everything. Raises what it reports instead."""
        begun = _clock.monotonic()
        while True:
            record = read_one(self._session, "HttpNfcLease", self._moid, _LEASE)
            state = record.get("state", "")
            if state == "ready":
                info: LeaseInfo | None = record.get("info")
                if info is None:
                    raise BadReply("The server gave no addresses for the transfer.")
                return info
            if state == "error":
                raise fault_of(self._session, self._object, "error")
            if state == "done" or _clock.monotonic() - begun > READY_S:
                raise Refused("The server didn't get ready for the transfer.", state)
            ctx.raise_if_cancelled()
            ctx.wait(0.2)

    def pulse(self, fraction: float, *, force: bool = False) -> None:
        """Tell the server that we are still at it, if that is due."""
        if force or _clock.monotonic() - self._told_at >= PULSE_S:
            self._told_at = _clock.monotonic()
            percent = min(99, max(0, int(fraction * 100)))
            self._session.read(lambda: self._object.HttpNfcLeaseProgress(percent))

    def complete(self) -> None:
        """Everything was transferred."""
        self.pulse(0.99, force=True)
        self._session.write(self._object.HttpNfcLeaseComplete)

    def abort(self) -> None:
        """Give up; the server removes what it had begun. Errors are ignored: the lease ends by itself then."""
        with contextlib.suppress(HvError):
            self._session.write(lambda: self._object.HttpNfcLeaseAbort(None))


class _TransferTrust:
    """Pins for transfers: those of the user; for an ESXi host behind the vCenter the certificate that vCenter names."""

    def __init__(self, trust: Trust, vouched: Mapping[str, Certificate]) -> None:
        self._trust = trust
        self._vouched = vouched

    def pinned(self, host: str, port: int) -> Certificate | None:
        """The user's pin, else the vCenter's."""
        return self._trust.pinned(host, port) or self._vouched.get(host.lower())


@contextlib.contextmanager
def _transfers(session: Session, ctx: TaskContext, urls: tuple[DeviceUrl, ...], host_id: str) -> Iterator[Wire]:
    """A wire of its own for the disks, which ends at once when the user cancels."""
    vouched: dict[str, Certificate] = {}
    elsewhere = {_address(session, one.url)[0] for one in urls} - {session.host}
    if elsewhere and session.is_vcenter and host_id:
        certificate = read_one(session, "HostSystem", host_id, _CERTIFICATE).get("config.certificate", b"")
        der = _pem_bytes(certificate)
        if der:
            vouched = {name.lower(): describe(name, 443, der) for name in elsewhere}
    wire = Wire(_TransferTrust(session.trust, vouched), legacy_tls=session.legacy_tls)
    ctx.on_cancel(wire.close)
    try:
        yield wire
    except HvError:
        # whatever the closed wire says, the reason was the user
        ctx.raise_if_cancelled()
        raise
    finally:
        wire.close()


def _pem_bytes(pem: bytes) -> bytes:
    """DER bytes out of a PEM file, as ``config.certificate`` holds it; empty where it can't be read."""
    try:
        return ssl.PEM_cert_to_DER_cert(pem.decode("ascii").strip())
    except ValueError:
        return b""


def _address(session: Session, url: str) -> tuple[str, int, str]:
    """(host, port, path) of a device URL; "*" stands for the server itself. Raises ``BadReply``."""
    try:
        parts = urllib.parse.urlsplit(url.replace("//*", "//server.invalid", 1))
        host, port = parts.hostname or "", parts.port
    except ValueError as exc:
        raise BadReply("The server gave an address for the transfer that can't be read.", url[:200]) from exc
    if parts.scheme != "https" or parts.username or parts.password:
        raise BadReply("The server wants a transfer without TLS, which isn't done.", url[:200])
    if host == "server.invalid":
        host, port = session.host, port or session.port
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return host, port or 443, path


# ---- export ----------------------------------------------------------------------------------------------------


def export_vm(session: Session, vm_id: ObjectId, path: Path, ctx: TaskContext) -> None:
    """Write a VM that is off into ``path``: an .ova file, an .ovf with its files beside it, or a folder."""
    state = vm_state(session, vm_id)
    if not state.template:
        require(state, Verb.EXPORT)
    ctx.raise_if_cancelled()
    target = path.absolute()
    if not target.is_dir():
        check_place(target)
    folder = target if target.is_dir() or not target.suffix else target.parent
    base = target.stem if folder != target else target.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{base[:40]}.part-", dir=folder))
    except OSError as exc:
        raise LocalError(f"“{safe_text(str(folder))}” can't be written.", exc.strerror or str(exc)) from exc
    try:
        names = _download(session, vm_id, state.host_id, work, base, ctx)
        ctx.progress(0.99, "Putting the files in place")
        if target.suffix.lower() == ".ova":
            packed = work / target.name
            write_tar(packed, [work / name for name in names])
            packed.replace(target)
        else:
            # the descriptor comes last: without it the rest is no package
            for name in reversed(names):
                _sync(work / name)
                (work / name).replace(folder / name)
        _sync_folder(folder)
    except OSError as exc:
        raise LocalError(f"“{safe_text(target.name)}” can't be written.", exc.strerror or str(exc)) from exc
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(session: Session, vm_id: ObjectId, host_id: str, work: Path, base: str, ctx: TaskContext) -> list[str]:
    """Everything into ``work``; names in the order of a package: descriptor, manifest, disks."""
    vm = machine(session, vm_id)
    lease = Lease(session, session.write(vm.ExportVm)._moId)
    digests: list[tuple[str, str]] = []
    ovf_files: list[Any] = []
    try:
        info = lease.ready(ctx)
        disks = [one for one in info.urls if one.is_disk]
        total = sum(one.size for one in disks) or info.capacity_bytes or 1
        done = 0
        with _transfers(session, ctx, info.urls, host_id) as wire:
            for position, device in enumerate(disks):
                name = f"{base}-disk{position + 1}.vmdk"
                size, digest = _fetch(session, wire, device, work / name, ctx, lease, done, total)
                done += size
                digests.append((name, digest))
                ovf_files.append(vim.OvfManager.OvfFile(deviceId=device.key, path=name, size=size))
        descriptor = _descriptor(session, vm, vm_id, ovf_files)
        ctx.raise_if_cancelled()
        lease.complete()
    except BaseException:
        lease.abort()
        raise
    own = f"{base}.ovf"
    (work / own).write_bytes(descriptor)
    digests.insert(0, (own, hashlib.sha256(descriptor).hexdigest()))
    manifest = "".join(f"SHA256({name})= {digest}\n" for name, digest in digests)
    (work / f"{base}.mf").write_text(manifest, "utf-8")
    return [own, f"{base}.mf", *(name for name, _digest in digests[1:])]


def _fetch(
    session: Session, wire: Wire, device: DeviceUrl, path: Path, ctx: TaskContext, lease: Lease, before: int, total: int
) -> tuple[int, str]:
    host, port, url = _address(session, device.url)
    digest = hashlib.sha256()
    size = 0
    began = _clock.monotonic()
    with path.open("xb") as stream:

        def take(piece: bytes) -> None:
            nonlocal size
            try:
                stream.write(piece)
            except OSError as exc:
                # inside the call an OSError would look like a broken connection
                raise LocalError("The file can't be written.", exc.strerror or str(exc)) from exc
            digest.update(piece)
            size += len(piece)
            fraction = min(0.98, (before + size) / total)
            ctx.progress(fraction, _speed("Downloading", size, began))
            lease.pulse(fraction)

        with wire.call(TRANSFER):
            connection = wire.connection(host, port)
            reply = connection.exchange("GET", url, headers=_headers(session, host, port), sink=take)
            connection.close()
            if reply.status != 200:
                raise Refused("The server doesn't hand out the disk.", f"HTTP {reply.status} {reply.reason}"[:200])
    return size, digest.hexdigest()


def _headers(session: Session, host: str, port: int) -> dict[str, str]:
    """The session's cookie goes to the server itself only; the hosts behind it know the lease by its address."""
    same = (host, port) == (session.host, session.port)
    return {"User-Agent": "hvconsole"} | ({"Cookie": session.cookie.value} if same and session.cookie.value else {})


def _speed(verb: str, count: int, began: float) -> str:
    seconds = max(0.001, _clock.monotonic() - began)
    return f"{verb}, {count / seconds / (1 << 20):.1f} MiB/s"


def _descriptor(session: Session, vm: Any, vm_id: ObjectId, files: list[Any]) -> bytes:
    manager = session.content.ovfManager
    if manager is None:
        raise NotSupported("This server can't describe a VM as OVF.")
    name = shown_name(read_one(session, "VirtualMachine", vm_id, _NAMED).get("name", ""))
    params = vim.OvfManager.CreateDescriptorParams(ovfFiles=files, name=name, description="", includeImageFiles=False)
    result = session.read(lambda: manager.CreateDescriptor(vm, params), DESCRIBE)
    _raise_problems(result.error)
    return str(result.ovfDescriptor).encode("utf-8")


def _raise_problems(problems: Any) -> None:
    words = [str(getattr(one, "msg", "") or type(one).__name__) for one in problems or ()]
    if words:
        raise InvalidInput("The server doesn't accept this VM as an OVF package.", "; ".join(words)[:2000])


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- import ----------------------------------------------------------------------------------------------------


def import_vm(
    session: Session,
    path: Path,
    ctx: TaskContext,
    *,
    name: str,
    storage_id: ObjectId | None,
    host_id: ObjectId | None,
    network_id: ObjectId | None,
) -> ObjectId:
    """Create a VM from an .ovf or .ova file; returns its id. Digests are checked before the server is asked."""
    package = open_package(path)
    sent = check_name(name or package.name)
    total = max(1, package.total_bytes)

    def checking(done: int) -> None:
        ctx.raise_if_cancelled()
        ctx.progress(min(0.2, 0.2 * done / total), "Checking the digests")

    check_digests(package, checking)
    where = host_id or best_host(session, storage_id, network_id)
    result = _import_spec(session, package, sent, where, storage_id, network_id)
    pool = session.object(vim.ResourcePool, compute_of(session, where).pool_id)
    folder = vm_folder(session, where)
    host = session.object(vim.HostSystem, where)
    ctx.raise_if_cancelled()
    lease = Lease(session, session.write(lambda: pool.ImportVApp(result.importSpec, folder, host))._moId)
    try:
        info = lease.ready(ctx)
        _upload(session, package, list(result.fileItem or ()), info, where, ctx, lease)
        ctx.raise_if_cancelled()
        lease.complete()
    except OutcomeUnknown:
        raise  # the completion was sent: aborting now could remove a finished VM
    except BaseException:
        lease.abort()
        raise
    ctx.progress(1.0, "Imported")
    return ObjectId(info.entity_id)


def _import_spec(
    session: Session,
    package: Package,
    name: str,
    host_id: ObjectId,
    storage_id: ObjectId | None,
    network_id: ObjectId | None,
) -> Any:
    manager = session.content.ovfManager
    if manager is None:
        raise NotSupported("This server can't import OVF packages.")
    host = host_record(session, host_id)
    store = best_store(session, host, storage_id, package.total_bytes)
    pool = session.object(vim.ResourcePool, compute_of(session, host_id).pool_id)
    params = vim.OvfManager.CreateImportSpecParams(
        locale="",
        deploymentOption="",
        entityName=name,
        hostSystem=session.object(vim.HostSystem, host_id),
        networkMapping=_networks(session, package, host.get("network", ()), network_id),
        diskProvisioning="thin",
    )
    datastore = session.object(vim.Datastore, store.id)
    result = session.read(lambda: manager.CreateImportSpec(package.descriptor, pool, datastore, params), DESCRIBE)
    words = [str(getattr(one, "msg", "") or type(one).__name__) for one in result.error or ()]
    if words or result.importSpec is None:
        raise InvalidInput("The server doesn't accept this OVF package.", "; ".join(words)[:2000])
    return result


def _networks(
    session: Session, package: Package, offered: tuple[tuple[str, str], ...], network_id: ObjectId | None
) -> list[Any]:
    """The package's networks on the chosen one, or on the first standard one of the host's."""
    if not package.networks or not offered:
        return []
    if network_id is not None:
        fit = [one for one in offered if one[1] == network_id]
        if not fit:
            raise InvalidInput("The chosen network isn't there on that host.")
    else:
        fit = [one for one in offered if one[0] == "Network"] or list(offered)
    target = session.object(managed_kind(fit[0][0]), fit[0][1])
    return [vim.OvfManager.NetworkMapping(name=name, network=target) for name in package.networks]


def _upload(
    session: Session, package: Package, items: list[Any], info: LeaseInfo, host_id: str, ctx: TaskContext, lease: Lease
) -> None:
    total = max(1, package.total_bytes)
    done = 0
    with _transfers(session, ctx, info.urls, host_id) as wire:
        for item in items:
            member = package.files.get(str(item.path))
            device = next((one for one in info.urls if one.import_key == item.deviceId), None)
            if member is None or device is None:
                raise BadReply("The server asks for a file that the package doesn't have.", str(item.path)[:200])
            _send(session, wire, device, member, bool(item.create), _counting(ctx, lease, done, total))
            done += member.size


def _counting(ctx: TaskContext, lease: Lease, before: int, total: int) -> Callable[[int, float], None]:
    def count(sent: int, began: float) -> None:
        fraction = (before + sent) / total
        ctx.progress(0.2 + 0.78 * fraction, _speed("Uploading", sent, began))
        lease.pulse(fraction)

    return count


def _send(
    session: Session, wire: Wire, device: DeviceUrl, member: Member, create: bool, count: Callable[[int, float], None]
) -> None:
    host, port, url = _address(session, device.url)
    headers = _headers(session, host, port) | {
        "Content-Length": str(member.size),
        "Content-Type": VMDK if device.is_disk or member.name.lower().endswith(".vmdk") else "application/octet-stream",
    }
    if create:
        headers["Overwrite"] = "t"
    began = _clock.monotonic()

    def body() -> Iterator[bytes]:
        sent = 0
        for piece in pieces(member):
            yield piece
            sent += len(piece)
            count(sent, began)

    with wire.call(TRANSFER):
        with contextlib.closing(wire.connection(host, port)) as connection:
            connection.request("PUT" if create else "POST", url, body(), headers)
            response = connection.getresponse()
            response.read()
        if response.status not in (200, 201, 204):
            raise Refused("The server doesn't take the disk.", f"HTTP {response.status} {response.reason}"[:200])
