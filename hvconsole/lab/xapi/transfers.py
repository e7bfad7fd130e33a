"""/export and /import: VMs as XVA archives over HTTP, with xapi's way of reporting through a task.

The 200 of an export is HTTP/1.0 and ends with the connection, so only the task tells whether all of it came. Handlers
run in the connection's thread and take as long as the client takes data.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from hvconsole.lab import errors
from hvconsole.lab.objects import Snapshot, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.xapi import lifecycle, refs, xva
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.pool import Member
from hvconsole.lab.xapi.requests import HttpRefusal, Request
from hvconsole.lab.xapi.values import to_xml

Handler = Callable[[Request], None]

_BODY_CAP = 1 << 52
"""Above the fake length (1 PiB) that clients announce who do not know theirs."""


def _task(request: Request, name: str) -> Task:
    """The client's task, or one of the handler's own."""
    world, ref = request.pool.world, request.parameters.get("task_id", "")
    with world.lock:
        if ref:
            task = world.tasks.get(request.pool.projector.owner(ref) or "")
            if task is None:
                raise HttpRefusal(500)
            task.cancellable = True
            world.changed(task)
            return task
    return world.new_task(request.pool.site.id, name)


def _fail(request: Request, task: Task, failure: Exception) -> HttpRefusal:
    request.pool.world.finish(task, error=failure)
    return HttpRefusal(500)


# ---- export ----------------------------------------------------------------------------------------------


def export(request: Request) -> None:
    """Send a halted or suspended VM, template or snapshot."""
    pool = request.pool
    subject = _subject(request)
    elsewhere = _better_member(request, subject)
    if elsewhere is not None:
        location = f"https://{elsewhere.address}:{elsewhere.port}{request.conversation.path}"
        raise HttpRefusal(302, {"location": location})
    task = _task(request, "VM.export")
    with pool.world.lock:
        refused = lifecycle.refusal(
            subject,
            refs.ref(subject),
            "export",
            strict=False,
            task_refs=[pool.ref_of(other) for other in subject.operations],
        )
    if refused is not None:
        raise _fail(request, task, refused)
    compression = request.parameters.get("use_compression", "false")
    if compression not in ("false", "true", "gzip", "zstd", ""):
        raise _fail(request, task, Failure("INVALID_VALUE", "use_compression", compression))
    with pool.world.operation(subject, "export", task):
        _send_archive(request, subject, task, compression)


def _subject(request: Request) -> Vm | Snapshot:
    pool, parameters = request.pool, request.parameters
    ref = parameters.get("ref", "")
    with pool.world.lock:
        if not ref:
            ref = pool.db.tables["VM"].by_uuid.get(parameters.get("uuid", ""), "")
        try:
            return pool.vm_or_snapshot(ref)
        except Failure:
            raise HttpRefusal(404) from None


def _better_member(request: Request, subject: Vm | Snapshot) -> Member | None:
    """The member that sees all disks, if this one does not."""
    pool, world = request.pool, request.pool.world
    with world.lock:
        needed = [
            world.storages[disk.storage_id]
            for drive in subject.drives
            if (disk := world.disks.get(drive.disk_id or "")) is not None and disk.storage_id in world.storages
        ]
        if all(request.member.host_id in storage.host_ids for storage in needed):
            return None
        for member in pool.members.values():
            if all(member.host_id in storage.host_ids for storage in needed) and pool.member_host(member).state == "up":
                return member
    return None


def _send_archive(request: Request, subject: Vm | Snapshot, task: Task, compression: str) -> None:
    conversation, world = request.conversation, request.pool.world
    conversation.send_response_only(200, "OK")
    conversation.protocol_version = "HTTP/1.0"
    for name, value in (
        ("connection", "close"),
        ("cache-control", "no-cache, no-store"),
        ("content-type", "application/octet-stream"),
        ("content-disposition", 'attachment; filename="export.xva"'),
    ):
        conversation.send_header(name, value)
    conversation.end_headers()
    conversation.close_connection = True
    pieces = list(xva.plan(request.pool, subject))
    try:
        for number, data in enumerate(_packed(xva.archive(pieces), compression)):
            conversation.wfile.write(data)
            conversation.wfile.flush()
            world.work(
                task,
                world.timing.copy / (len(pieces) + 1),
                start=task.progress,
                end=min(0.95, (number + 1) / (len(pieces) + 1)),
            )
    except errors.Cancelled as cancelled:
        world.finish(task, error=cancelled)
        return
    except OSError:
        world.finish(task, error=Failure("CLIENT_ERROR", "the client went away"))
        return
    task.extra["result"] = ""
    world.finish(task)


def _packed(chunks: Iterator[bytes], compression: str) -> Iterator[bytes]:
    if compression in ("true", "gzip"):
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        for chunk in chunks:
            yield packer.compress(chunk)
        yield packer.flush()
    elif compression == "zstd":
        yield from xva.zstd_frame(chunks)
    else:
        yield from chunks


# ---- import ----------------------------------------------------------------------------------------------


def import_(request: Request) -> None:
    """Take an XVA archive and make its VMs."""
    conversation, pool = request.conversation, request.pool
    task = _task(request, "VM.import")
    headers = conversation.headers
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        raise _fail(request, task, Failure("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"))
    length = headers.get("Content-Length", "")
    if not length.isdigit() or int(length) > _BODY_CAP:
        raise _fail(request, task, Failure("IMPORT_ERROR_GENERIC", "Content-Length is missing"))
    storage_ref = request.parameters.get("sr_id", "")
    with pool.world.lock:
        storage = pool.world.storages.get(pool.projector.owner(storage_ref) or "")
        if storage is None:
            storage = pool.world.storages.get(pool.site.default_storage_id or "")
    if storage is None:
        raise _fail(request, task, Failure("DEFAULT_SR_NOT_FOUND", storage_ref))
    with pool.world.lock:
        members = [
            member
            for member in pool.members.values()
            if member.host_id in storage.host_ids and pool.member_host(member).state == "up"
        ]
    if members and all(member.host_id != request.member.host_id for member in members):
        # Said before any of the body is read, and the task stays open for the member that takes it.
        location = f"https://{members[0].address}:{members[0].port}{request.conversation.path}"
        raise HttpRefusal(302, {"location": location})
    try:
        made = xva.receive(
            pool,
            task,
            xva.Bounded(conversation.rfile, int(length)),
            storage,
            restore=request.parameters.get("restore") == "true",
        )
    except (Failure, errors.WorldError) as failure:
        raise _fail(request, task, failure) from failure
    task.extra["result"] = to_xml(made)
    pool.world.finish(task, result=made)
    conversation.page(200, "")
