"""``hvconsole run``: one row of the operations table, done to VMs, hosts or a server.

The options of each operation come from its row. Objects are worked on in parallel (four at once); each is reported,
and the exit code is 1 if any failed. Ctrl-C cancels what runs and waits until the server has confirmed.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hvconsole.backends.base import Capability, CreateVm, Hypervisor, Secret
from hvconsole.cli.objects import Chosen, choose, find_host, find_network, find_snapshot, find_storage
from hvconsole.cli.output import DONE, FAILED, Printer, UsageError, complaint, is_terminal
from hvconsole.cli.recorded import recorded
from hvconsole.cli.secrets import new_password
from hvconsole.cli.session import Servers, add_server_options, refuse_emergency, resolve
from hvconsole.cli.spec import add_spec_options, build_spec
from hvconsole.clock import Clock
from hvconsole.errors import InvalidInput, Refused
from hvconsole.events import Hub, JobChanged, JobState
from hvconsole.jobs import Job, JobRunner
from hvconsole.model import Inventory, PowerState, Snapshot, Verb
from hvconsole.operation import numbered
from hvconsole.operations import BY_VERB, OPERATIONS, Argument, ArgumentKind, Operation, Scope, why_not
from hvconsole.signals import until_signalled
from hvconsole.text import safe_text

INVENTORY_S = 60.0
CANCEL_LIMIT_S = 30.0
"""How long a Ctrl-C waits for servers to confirm."""

_OBJECTS = {Scope.VM: "VM", Scope.SNAPSHOT: "VM", Scope.HOST: "HOST"}
_ONE_ONLY = {Verb.RENAME, Verb.CLONE, Verb.COPY, Verb.EXPORT}
"""A name or file can only be meant for one VM."""
_FLAGS = {"--json", "--verbose", "--help", "--start", "--disk-thick"}
"""Options without a value that do not come from the table."""


def parse(rest: Sequence[str]) -> argparse.Namespace:
    """Find the operation wherever it stands, then read the rest with its own options."""
    words = [*rest]
    at = _operation_at(words)
    if at is None:
        _overview().parse_args(words)  # handles --help
        _overview().error("name an operation: " + ", ".join(op.verb for op in OPERATIONS))
    by_name = {str(op.verb): op for op in OPERATIONS}
    operation = by_name.get(words[at])
    if operation is None:
        _overview().error(
            f"there is no operation “{safe_text(words[at], 60)}”; there are: " + ", ".join(sorted(by_name))
        )
    made = parser(operation)
    arguments = made.parse_intermixed_args(words[:at] + words[at + 1 :])
    if operation.one_of and all(getattr(arguments, f"argument_{name}") is None for name in operation.one_of):
        made.error("give " + " or ".join(_flag(name) for name in operation.one_of))
    arguments.operation = operation
    return arguments


def _operation_at(words: list[str]) -> int | None:
    """Index of the first word that is neither an option nor the value of one."""
    flags = {f"--{a.name}" for op in OPERATIONS for a in op.arguments if a.kind is ArgumentKind.FLAG} | _FLAGS
    number = 0
    while number < len(words):
        word = words[number]
        if not word.startswith("-"):
            return number
        has_value = word.startswith("--") and "=" not in word and word not in flags
        number += 2 if has_value else 1
    return None


def _overview() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {op.verb:20}{op.label}" for op in OPERATIONS)
    return argparse.ArgumentParser(
        prog="hvconsole run",
        usage="hvconsole run OPERATION URL|PROFILE [VM ...] [options]",
        description=f"Do something to VMs, hosts or a server.\n\noperations:\n{lines}\n\n"
        "“hvconsole run OPERATION --help” shows the options of one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def parser(operation: Operation) -> argparse.ArgumentParser:
    """Arguments of ``hvconsole run OPERATION``."""
    made = argparse.ArgumentParser(prog=f"hvconsole run {operation.verb}", description=_description(operation))
    made.add_argument("server", metavar="URL|PROFILE", help="xenserver://user@host, or a saved server")
    if operation.scope is not Scope.SERVER:
        word = _OBJECTS[operation.scope]
        made.add_argument("objects", metavar=word, nargs="+", help=f"{word} by UUID or unique name")
    for argument in operation.arguments:
        _add_option(made, argument)
    made.add_argument("--json", action="store_true", help="print one JSON object per line for each object")
    add_server_options(made)
    return made


def _description(operation: Operation) -> str:
    words = [operation.label + "."]
    if Capability.EMERGENCY in operation.needs:
        words.append("The host is logged in to locally (as with --option emergency=yes) and must be in emergency mode.")
    if operation.destructive:
        words.append("It is done at once: the command line doesn't ask.")
    if operation.question is not None and Capability.EMERGENCY in operation.needs:
        words.append(operation.question.text)
    return " ".join(words)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _add_option(made: argparse.ArgumentParser, argument: Argument) -> None:
    flag = _flag(argument.name)
    dest = f"argument_{argument.name}"
    if argument.kind is ArgumentKind.FLAG:
        made.add_argument(flag, dest=dest, action="store_true", help=argument.label)
    elif argument.kind is ArgumentKind.SPEC:
        add_spec_options(made)
    elif argument.kind is ArgumentKind.PASSWORD:
        return  # never an argument: arguments are visible to everyone
    elif argument.kind is ArgumentKind.DISKS:
        made.add_argument(flag, dest=dest, metavar="DISK", action="append", help=f"{argument.label}, by id or name")
    else:
        metavar = argument.kind.value.split()[-1].upper()
        made.add_argument(flag, dest=dest, metavar=metavar, required=argument.required, help=argument.label)


def run(arguments: argparse.Namespace) -> int:
    """Do it. Raises ``UsageError`` and ``HvError`` for what concerns the whole command."""
    operation: Operation = arguments.operation
    objects: list[str] = getattr(arguments, "objects", [])
    if len(objects) > 1 and operation.verb in _ONE_ONLY:
        raise UsageError(f"{operation.verb} takes one VM at a time.")
    servers = resolve([arguments.server], arguments)
    (profile,) = servers.profiles
    recovery = Capability.EMERGENCY in operation.needs
    if recovery:
        profile = replace(profile, options={**profile.options, "emergency": "yes"})
    secret = servers.secret(profile)
    passwords = _passwords(operation, secret)
    hypervisor = servers.log_in(profile, secret)
    try:
        inventory = hypervisor.watch(INVENTORY_S)
        assert inventory is not None  # the contract: the first call returns everything
        if not recovery:
            refuse_emergency(inventory.emergency)
        chosen = choose(operation.scope, inventory, objects, profile.name)
        work: list[tuple[Chosen, dict[str, Any]]] = []
        for one in chosen:
            # What cannot be done at all needs no look-up of names, which would fail with a smaller reason.
            refused = why_not(operation, inventory, one.id, hypervisor.capabilities) is not None
            values = {} if refused else _values(operation, arguments, one, inventory, hypervisor)
            work.extend((each, {**own, **passwords}) for each, own in _each(one, values, arguments))
        return _do(servers, operation, hypervisor, inventory, work, as_json=arguments.json)
    finally:
        hypervisor.close()


_RESULTS: Mapping[Any, PowerState] = {
    Verb.START: PowerState.RUNNING, Verb.UNPAUSE: PowerState.RUNNING, Verb.RESUME: PowerState.RUNNING,
    Verb.SHUTDOWN: PowerState.HALTED, Verb.POWER_OFF: PowerState.HALTED, Verb.SUSPEND: PowerState.SUSPENDED,
    Verb.PAUSE: PowerState.PAUSED,
}  # fmt: skip


def _each(one: Chosen, values: dict[str, Any], given: argparse.Namespace) -> Iterator[tuple[Chosen, dict[str, Any]]]:
    """One piece of work, or one for each of several VMs that are to be created."""
    spec = values.get("spec")
    if not isinstance(spec, CreateVm) or given.count == 1:
        yield one, values
        return
    for each in numbered(spec, given.count):
        yield replace(one, name=each.name), {**values, "spec": each}


def _passwords(operation: Operation, current: Secret) -> dict[str, Secret]:
    if not any(argument.kind is ArgumentKind.PASSWORD for argument in operation.arguments):
        return {}
    return {"old": current, "new": new_password()}


def _values(
    operation: Operation, given: argparse.Namespace, one: Chosen, inventory: Inventory, hypervisor: Hypervisor
) -> dict[str, Any]:
    """The operation's arguments with names looked up. Raises ``UsageError``, ``NotFound``."""
    values: dict[str, Any] = {}
    for argument in operation.arguments:
        if argument.kind is ArgumentKind.SPEC:
            try:
                values[argument.name] = build_spec(given, inventory)
            except InvalidInput as exc:
                raise UsageError(exc.user_text) from exc
            continue
        value = getattr(given, f"argument_{argument.name}", None)
        if value is None or value is False:
            continue
        if argument.kind is ArgumentKind.HOST:
            value = find_host(inventory, value).id
        elif argument.kind is ArgumentKind.SNAPSHOT:
            value = find_snapshot(one, value).id
        elif argument.kind is ArgumentKind.STORAGE:
            value = find_storage(inventory, value).id
        elif argument.kind is ArgumentKind.NETWORK:
            value = find_network(inventory, value).id
        elif argument.kind is ArgumentKind.DISKS:
            value = one.disk_ids(value, hypervisor)
        values[argument.name] = value
    return values


def _do(
    servers: Servers,
    operation: Operation,
    hypervisor: Hypervisor,
    inventory: Inventory,
    work: list[tuple[Chosen, dict[str, Any]]],
    *,
    as_json: bool,
) -> int:
    (profile,) = servers.profiles
    printer = Printer()
    hub = Hub()
    runner = JobRunner(profile.id, profile.name[:24], hub, servers.clock)
    progress = _Progress(printer) if len(work) == 1 and is_terminal(sys.stderr) else None
    if progress is not None:
        hub.subscribe(JobChanged, progress.show)
    with recorded(hub, servers.clock, lambda _id: profile.name), until_signalled() as stop:
        jobs = [
            (one, runner.submit(
                str(operation.verb), operation.label, one.name, one.id or None,
                _work(operation, hypervisor, inventory, one, values),
            ))
            for one, values in work
        ]  # fmt: skip
        _wait([job for _one, job in jobs], stop, servers.clock)
        if progress is not None:
            progress.clear()
        codes = [
            _report(printer, operation, one, job, _hard_variant(operation, hypervisor, inventory, one), as_json=as_json)
            for one, job in jobs
        ]
        runner.stop()
    return max(codes)


def _wait(jobs: list[Job], stop: threading.Event, clock: Clock) -> None:
    """Until all are done; once told to stop, at most ``CANCEL_LIMIT_S`` more for all of them together."""
    ends: float | None = None
    for job in jobs:
        while not job.finished.wait(0.2):
            if ends is None and stop.is_set():
                ends = clock.monotonic() + CANCEL_LIMIT_S
                for each in jobs:
                    each.cancel()
            if ends is not None and clock.monotonic() >= ends:
                return


def _work(
    operation: Operation, hypervisor: Hypervisor, inventory: Inventory, one: Chosen, values: Mapping[str, Any]
) -> Any:
    def work(ctx: Any) -> object:
        reason = why_not(operation, inventory, one.id, hypervisor.capabilities)
        # A VM that is there already is left to the server's judgement: to some servers that is success.
        there = one.vm is not None and _RESULTS.get(operation.verb) is one.vm.power
        if reason is not None and not there:
            raise Refused(reason, code="not-now")
        return operation.run(hypervisor, one.id, values, ctx)

    return work


def _hard_variant(operation: Operation, hypervisor: Hypervisor, inventory: Inventory, one: Chosen) -> Verb | None:
    """What would do without the guest's help, where the VM's state allows it."""
    if operation.hard is None or why_not(BY_VERB[operation.hard], inventory, one.id, hypervisor.capabilities):
        return None
    return operation.hard


def _report(printer: Printer, operation: Operation, one: Chosen, job: Job, hard: Verb | None, *, as_json: bool) -> int:
    view = job.view
    result = job.result.id if isinstance(job.result, Snapshot) else job.result
    if as_json:
        printer.json(
            {
                "operation": str(operation.verb),
                "name": one.name,
                "uuid": one.uuid or None,
                "outcome": view.state.value if view.state.final else JobState.UNKNOWN.value,
                "seconds": None if view.duration_s is None else round(view.duration_s, 3),
                "result": str(result) if result is not None else None,
                "error": view.error.user_text if view.error else None,
                "detail": (view.error.detail or None) if view.error else None,
            }
        )
    name = safe_text(one.name or one.uuid, 80)
    if view.state is JobState.DONE:
        if not as_json:
            made = f", {safe_text(str(result), 80)}" if result is not None else ""
            printer.line(f"{name}: {operation.verb} done ({view.duration_s or 0:.1f} s{made})")
        return DONE
    if view.error is None:
        printer.error(f"{name}: {operation.verb} {view.state.value}")
    else:
        printer.error(f"{name}: {complaint(view.error)}")
        if hard is not None and not isinstance(view.error, InvalidInput):
            printer.error(f"  The hard variant is: hvconsole run {hard}")
    return FAILED


class _Progress:
    """One line that is redrawn on a terminal. Called from job threads."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._shown = False

    def show(self, event: JobChanged) -> None:
        """Redraw for a job that runs."""
        view = event.job
        if view.state is JobState.RUNNING and view.fraction is not None:
            self._shown = True
            self._printer.redraw(f"{view.fraction:4.0%} {safe_text(view.text, 60)}")

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._printer.redraw("")
