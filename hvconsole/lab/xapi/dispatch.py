"""From method name and parameters to a result: registry, emergency filter, session and type checks, Async.

``Dispatcher.call`` runs in the thread of the connection; it may block for as long as the work takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hvconsole.lab import errors
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.tasks import Task
from hvconsole.lab.xapi import generic, refs, schema
from hvconsole.lab.xapi.failures import Failure, from_world
from hvconsole.lab.xapi.pool import Member, Pool
from hvconsole.lab.xapi.sessions import Session
from hvconsole.lab.xapi.values import NULL, Date, to_xml

NO_ASYNC = frozenset({"session", "event", "task", "data_source", "blob", "system"})

EMERGENCY_CALLS = frozenset(
    {
        "pool.emergency_reset_master",
        "pool.emergency_transition_to_master",
        "pool.ping_slave",
        "session.slave_local_login",
        "session.slave_local_login_with_password",
        "session.local_logout",
        "host.propose_new_master",
        "host.commit_new_master",
        "host.abort_new_master",
        "host.local_assert_healthy",
        "host.signal_networking_change",
        "host.local_management_reconfigure",
        "host.ha_xapi_healthcheck",
        "host.emergency_ha_disable",
        "host.management_disable",
        "host.get_system_status_capabilities",
        "host.is_in_emergency_mode",
        "host.shutdown_agent",
        "host.emergency_reset_server_certificate",
        "host.emergency_disable_tls_verification",
        "host.emergency_reenable_tls_verification",
        "host.emergency_clear_mandatory_guidance",
        "host.update_firewalld_service_status",
    }
)


class Dropped(Exception):
    """The connection is to be closed without a reply."""


class Verbatim(Exception):
    """``body`` is to be sent instead of a reply."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


@dataclass(slots=True)
class Call:
    """One call under way. ``task`` is the world's task that it works under (None: none is visible)."""

    pool: Pool
    member: Member
    method: str
    session: Session | None = None
    task: Task | None = None


Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Method:
    """A registered message. ``params``: words as in ``message``; ``session`` False: none is passed."""

    name: str
    handler: Handler
    params: tuple[str, ...]
    session: bool = True
    mandatory: int = field(default=0)


REGISTRY: dict[str, Method] = {}


def message(name: str, *params: str, session: bool = True) -> Callable[[Handler], Handler]:
    """Register a handler ``(call, *params)`` for a message.

    Words: s, i, f, b, d; {}, [] (anything inside); a class name (a valid reference is demanded), with "?" NULL is
    accepted; a leading "~" marks optional trailing parameters.
    """

    def register(handler: Handler) -> Handler:
        mandatory = sum(not word.startswith("~") for word in params)
        REGISTRY[name] = Method(name, handler, tuple(word.lstrip("~") for word in params), session, mandatory)
        return handler

    return register


def all_methods() -> list[str]:
    """Every message served, for system.listMethods."""
    names = set(REGISTRY) | set(generic.messages())
    asynchronous = {f"Async.{name}" for name in REGISTRY if name.partition(".")[0] not in NO_ASYNC}
    return sorted(names | asynchronous)


class Dispatcher:
    """Runs calls on one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def call(self, member: Member, name: str, params: list[Any]) -> Any:
        """The result of a message; raises ``Failure``, ``Dropped`` or ``Verbatim``."""
        rule = self._pool.world.faults.decide(self._pool.site.id, name, self._concerned(params))
        if rule is None:
            return self._call(member, name, params)
        self._before(rule)
        value = self._call(member, name, params)
        if rule.effect is Effect.DROP_AFTER:
            raise Dropped
        return value

    def _before(self, rule: FaultRule) -> None:
        world = self._pool.world
        if rule.delay_s > 0:
            idle = Task(id="delay", site_id=self._pool.site.id, name="delay", recorded=False)
            try:
                world.work(idle, rule.delay_s)
            except errors.Cancelled:
                raise Dropped from None
        match rule.effect:
            case Effect.FAULT:
                raise Failure(rule.code, *rule.params)
            case Effect.DROP_BEFORE:
                raise Dropped
            case Effect.GARBAGE:
                raise Verbatim(rule.body)
            case _:
                return

    def _concerned(self, params: list[Any]) -> tuple[str, ...]:
        if not self._pool.world.faults.any:
            return ()
        found: list[str] = []
        with self._pool.world.lock:
            for param in params[1:]:
                if isinstance(param, str) and len(param) < 256:
                    found.append(param)
                    owner = self._pool.projector.owner(param)
                    vm = self._pool.world.vms.get(owner or "")
                    if vm is not None:
                        found += (vm.id, vm.name)
        return tuple(found)

    def _call(self, member: Member, name: str, params: list[Any]) -> Any:
        asynchronous = name.startswith("Async.")
        plain = name[6:] if asynchronous else name
        method = REGISTRY.get(plain)
        if method is None or (asynchronous and plain.partition(".")[0] in NO_ASYNC):
            handler = None if asynchronous else generic.find(plain)
            if handler is None:
                raise Failure("MESSAGE_METHOD_UNKNOWN", name)
            self._emergency(member, plain)
            method = Method(plain, handler.run, handler.params, mandatory=len(handler.params))
        else:
            self._emergency(member, plain)
        received = len(params) - (1 if method.session else 0)
        if not method.mandatory <= received <= len(method.params):
            expected = len(method.params) if received > len(method.params) else method.mandatory
            raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", name, str(expected), str(max(received, 0)))
        call = Call(self._pool, member, plain)
        if method.session:
            call.session = self._pool.check_session(member, params[0])
            params = params[1:]
        arguments = [self._argument(plain, word, value) for word, value in zip(method.params, params, strict=False)]
        if asynchronous:
            return self._start(call, method, arguments)
        return self._run(call, method, arguments)

    def _emergency(self, member: Member, name: str) -> None:
        if name not in EMERGENCY_CALLS and self._pool.in_emergency(member):
            raise Failure(*self._pool.emergency_cause)

    def _run(self, call: Call, method: Method, arguments: list[Any]) -> Any:
        try:
            return method.handler(call, *arguments)
        except errors.WorldError as error:
            raise from_world(error, self._pool.ref_of) from error

    def _start(self, call: Call, method: Method, arguments: list[Any]) -> str:
        world = self._pool.world
        task = world.new_task(self._pool.site.id, f"Async.{method.name}")
        call.task = task
        ref = refs.ref_of_id(task.id)

        def work(_: Task) -> Any:
            value = method.handler(call, *arguments)  # refusals are translated when the task is shown
            with world.lock:
                task.extra["result"] = "" if value is None else to_xml(value)
                self._announce_end(ref, task.extra["result"])
            return value

        world.spawn(self._pool.site.id, task.name, work, task=task)
        return ref

    def _announce_end(self, ref: str, result: str) -> None:
        """xapi writes the status last: progress 1 and a result are seen while the task is still pending."""
        if self._pool.db.find("task", ref) is not None:
            self._pool.db.update("task", ref, {"progress": 1.0, "result": result, "allowed_operations": []})

    def _argument(self, method: str, word: str, value: Any) -> Any:
        converted = convert(word, value)
        if converted is None:
            raise Failure("FIELD_TYPE_ERROR", method)
        class_name = word.rstrip("?")
        if class_name in schema.CLASSES:
            if word.endswith("?") and (converted == NULL or converted == ""):
                return NULL
            if class_name != "session" and self._pool.db.find(class_name, converted) is None:
                raise Failure("HANDLE_INVALID", class_name, converted)
        return converted


def convert(word: str, value: Any) -> Any:
    """A parameter as the type that ``word`` names, or None if it is of another."""
    match word:
        case "i":
            if isinstance(value, bool):
                return None
            if isinstance(value, str):
                try:
                    return int(value)
                except ValueError:
                    return None
            return int(value) if isinstance(value, int) or (isinstance(value, float) and value.is_integer()) else None
        case "f":
            if isinstance(value, str):
                try:
                    return float(value)
                except ValueError:
                    return None
            return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "b":
            return value if isinstance(value, bool) else None
        case "d":
            return Date(value) if isinstance(value, str) else None
        case "{}":
            return value if isinstance(value, dict) else None
        case "[]":
            return value if isinstance(value, list) else None
        case _:
            return str(value) if isinstance(value, str) else None
