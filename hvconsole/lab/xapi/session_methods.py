"""session.*, task.*, message.*, role.*: logging in, tasks of the client's own, alerts."""

from __future__ import annotations

import hmac
import time
from typing import Any

from hvconsole.lab import errors
from hvconsole.lab.tasks import Task
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.dispatch import Call, message
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.values import NULL, date, seconds


@message("session.login_with_password", "s", "s", "~s", "~s", session=False)
def login_with_password(call: Call, user: str, password: str, _version: str = "", originator: str = "") -> str:
    """Log in on the master."""
    pool = call.pool
    if pool.is_slave(call.member):
        raise Failure("HOST_IS_SLAVE", pool.master_address(call.member))
    _check_password(call, user, password)
    session = pool.sessions.open(user, originator)
    _enter(call, session.ref, user, originator)
    return session.ref


def _check_password(call: Call, user: str, password: str) -> None:
    site = call.pool.site
    right = hmac.compare_digest(user.encode(errors="replace"), site.user.encode()) & hmac.compare_digest(
        password.encode(errors="replace"), site.password.encode()
    )
    if not right:
        idle = Task(id="login", site_id=site.id, name="login", recorded=False)
        try:
            call.pool.world.work(idle, call.pool.world.timing.login_refused)
        except errors.Cancelled:
            pass
        raise Failure("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")


def _enter(call: Call, ref: str, user: str, originator: str) -> None:
    pool = call.pool
    with pool.world.lock:
        host = pool.world.hosts.get(call.member.host_id)
        pool.db.insert(
            "session",
            ref,
            {
                "uuid": ref[10:],
                "this_host": refs.ref(host) if host is not None else NULL,
                "this_user": NULL,
                "last_active": date(time.time()),
                "pool": False,
                "is_local_superuser": True,
                "subject": NULL,
                "validation_time": date(time.time()),
                "auth_user_sid": "",
                "auth_user_name": user,
                "parent": NULL,
                "originator": originator,
            },
        )


@message("session.slave_local_login_with_password", "s", "s", session=False)
def slave_local_login_with_password(call: Call, user: str, password: str) -> str:
    """Log in on this host alone; works without a master."""
    _check_password(call, user, password)
    return call.pool.sessions.open(user, "local", call.member.host_id).ref


@message("session.logout")
def logout(call: Call) -> None:
    """End the session; its waiting event calls fail."""
    if call.session is not None:
        call.pool.sessions.close(call.session.ref)
        with call.pool.world.lock:
            call.pool.db.delete("session", call.session.ref)


@message("session.local_logout")
def local_logout(call: Call) -> None:
    """End a local session."""
    logout(call)


@message("session.change_password", "s", "s")
def change_password(call: Call, old: str, new: str) -> None:
    """Change root's password on every member."""
    site = call.pool.site
    if call.session is None or call.session.user != "root":
        raise Failure("USER_IS_NOT_LOCAL_SUPERUSER", "only root's password can be changed here")
    if old and not hmac.compare_digest(old.encode(errors="replace"), site.password.encode()):
        raise Failure("CHANGE_PASSWORD_REJECTED", "Authentication failure")
    if not new:
        raise Failure("CHANGE_PASSWORD_REJECTED", "BAD PASSWORD: it is empty")
    site.password = new


@message("session.get_all_subject_identifiers")
def get_all_subject_identifiers(_call: Call) -> list[str]:
    """Nobody is logged in by a directory."""
    return []


# ---- tasks -----------------------------------------------------------------------------------------------


def world_task(call: Call, ref: str) -> Task:
    """The world's task behind a reference; raises HANDLE_INVALID."""
    task = call.pool.world.tasks.get(call.pool.projector.owner(ref) or "")
    if task is None:
        raise Failure("HANDLE_INVALID", "task", ref)
    return task


@message("task.create", "s", "s")
def task_create(call: Call, label: str, description: str) -> str:
    """A task of the client's own, for HTTP transfers."""
    task = call.pool.world.new_task(call.pool.site.id, label, description=description, cancellable=False)
    return refs.ref_of_id(task.id)


@message("task.destroy", "task")
def task_destroy(call: Call, ref: str) -> None:
    """Remove a task; a pending one that still works goes when it ends."""
    with call.pool.world.lock:
        task = world_task(call, ref)
        if task.done.is_set() or not task.cancellable:
            call.pool.world.forget_task(task)
        else:
            task.extra["destroy"] = True


@message("task.cancel", "task")
def task_cancel(call: Call, ref: str) -> None:
    """Ask a task to stop."""
    with call.pool.world.lock:
        task = world_task(call, ref)
        if task.done.is_set() or not task.cancellable:
            raise Failure("OPERATION_NOT_ALLOWED", "The task cannot be cancelled")
        call.pool.world.cancel(task)


@message("task.set_status", "task", "s")
def task_set_status(call: Call, ref: str, status: str) -> None:
    """Finish a task of the client's own."""
    world = call.pool.world
    with world.lock:
        task = world_task(call, ref)
        ends: dict[str, Exception | None] = {
            "success": None,
            "failure": Failure("INTERNAL_ERROR", "set by client"),
            "cancelled": errors.Cancelled("cancelled"),
        }
        if status in ends:
            world.finish(task, error=ends[status])
        elif status != "pending":
            raise Failure("INVALID_VALUE", "status", status)


@message("task.set_progress", "task", "f")
def task_set_progress(call: Call, ref: str, value: float) -> None:
    """Say how far the client's own work is."""
    call.pool.world.progress(world_task(call, ref), value)


@message("task.set_result", "task", "s")
def task_set_result(call: Call, ref: str, value: str) -> None:
    """Set the result text."""
    with call.pool.world.lock:
        task = world_task(call, ref)
        task.extra["result"] = value
        call.pool.world.changed(task)


@message("task.set_error_info", "task", "[]")
def task_set_error_info(call: Call, ref: str, value: list[Any]) -> None:
    """Set the error information."""
    with call.pool.world.lock:
        call.pool.db.update("task", ref, {"error_info": [str(word) for word in value]})


# ---- messages --------------------------------------------------------------------------------------------


@message("message.create", "s", "i", "s", "s", "s")
def message_create(call: Call, name: str, priority: int, cls: str, obj_uuid: str, body: str) -> str:
    """An alert about an object."""
    ref = call.pool.new_ref()
    with call.pool.world.lock:
        call.pool.db.insert(
            "message",
            ref,
            {
                "uuid": call.pool.world.new_id(),
                "name": name,
                "priority": priority,
                "cls": cls,
                "obj_uuid": obj_uuid,
                "timestamp": date(call.pool.world.now()),
                "body": body,
            },
        )
    return ref


@message("message.destroy", "message")
def message_destroy(call: Call, ref: str) -> None:
    """Dismiss an alert."""
    with call.pool.world.lock:
        call.pool.db.delete("message", ref)


@message("message.destroy_many", "[]")
def message_destroy_many(call: Call, refs_given: list[Any]) -> None:
    """Dismiss several alerts."""
    for ref in refs_given:
        message_destroy(call, str(ref))


@message("message.get", "s", "s", "d")
def message_get(call: Call, cls: str, obj_uuid: str, since: str) -> dict[str, Any]:
    """Alerts about one object since a time."""
    return {
        ref: record
        for ref, record in message_get_since(call, since).items()
        if record.value["cls"].lower() == cls.lower() and record.value["obj_uuid"] == obj_uuid
    }


@message("message.get_since", "d")
def message_get_since(call: Call, since: str) -> dict[str, Any]:
    """Alerts since a time."""
    start = seconds(since)
    with call.pool.world.lock:
        return {
            row.ref: row.record() for row in call.pool.db.rows("message") if seconds(row.fields["timestamp"]) >= start
        }


@message("role.get_permissions", "role")
def role_get_permissions(_call: Call, _ref: str) -> list[str]:
    """Nothing finer than roles is simulated."""
    return []
