"""The simulated data centre: one store of objects, one lock, one change counter, tasks that take time.

Platform-neutral. A world holds several sites; each site is served by the protocol server of its kind, which reads
objects under ``world.lock``, runs verbs (modules ``power``, ``snapshots``, ``lifecycle``, ``hosts``), and learns of
changes by ``wait_for_change`` + ``changes_since`` (long polls) or by ``listen`` (called at once, under the lock).

Threads: every public method may be called from any thread. ``world.lock`` is re-entrant; hold it for moments, never
while waiting or sending. The world owns one timer thread (guests that boot) and one thread per running ``spawn``;
all end within a second of ``close``.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from hvconsole.lab import errors
from hvconsole.lab.addresses import AddressBook
from hvconsole.lab.faults import Effect, Faults
from hvconsole.lab.objects import (
    KINDS,
    Disk,
    Group,
    Host,
    HostState,
    Network,
    Site,
    Snapshot,
    Storage,
    Vm,
    WorldObject,
)
from hvconsole.lab.tasks import Task, TaskStatus, Timing

_log = logging.getLogger(__name__)

T = TypeVar("T")

CHANGES_KEPT = 200_000
"""Length of the change log; whoever asks further back is told to read everything again."""
_PROGRESS_STEPS = 10
_FINAL_TASKS_KEPT = 200


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to one object. ``op`` is "add", "mod" or "del"; ``kind`` a word of ``objects.KINDS``
    or "task"; ``version`` the value of the change counter."""

    version: int
    op: str
    kind: str
    id: str
    site_id: str


class World:
    """Everything that exists in the lab. See the module's docstring for threads."""

    def __init__(self, *, timing: Timing | None = None, seed: int = 1) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self.timing = timing or Timing()
        self.faults = Faults(seed)
        self.addresses = AddressBook()
        self.sites: dict[str, Site] = {}
        self.groups: dict[str, Group] = {}
        self.hosts: dict[str, Host] = {}
        self.networks: dict[str, Network] = {}
        self.storages: dict[str, Storage] = {}
        self.disks: dict[str, Disk] = {}
        self.vms: dict[str, Vm] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.tasks: dict[str, Task] = {}
        self.running: dict[str, Task] = {}
        """Tasks whose work is entered in some object's ``operations``, recorded or not."""
        self.station_online = True
        """False: the virtual network as a whole is silent, as if this computer had lost its own link."""
        self._tables: dict[str, dict[str, Any]] = {
            "site": self.sites,
            "group": self.groups,
            "host": self.hosts,
            "network": self.networks,
            "storage": self.storages,
            "disk": self.disks,
            "vm": self.vms,
            "snapshot": self.snapshots,
        }
        self._random = random.Random(seed)
        self._fresh = random.Random()
        self._repeatable = True
        self._version = 0
        self._leases = 0
        self._log: deque[Change] = deque(maxlen=CHANGES_KEPT)
        self._listeners: list[Callable[[Change], None]] = []
        self._closed = False
        self._timer: threading.Thread | None = None
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._due_changed = threading.Condition(self.lock)
        self._sequence = itertools.count()
        self._vm_numbers = itertools.count(11)
        self._workers: set[threading.Thread] = set()

    @classmethod
    def scaled(cls, n_vms: int, *, timing: Timing | None = None) -> World:
        """A world with one XenServer pool of ``n_vms`` VMs (10,000 in a few seconds)."""
        from hvconsole.lab.estate import build_scaled  # the estate imports this module

        world = cls(timing=timing)
        build_scaled(world, n_vms)
        world.seal()
        return world

    # ---- time and ids ------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def new_id(self) -> str:
        """A new UUID: the same ones in every run until ``seal``, unpredictable ones after."""
        source = self._random if self._repeatable else self._fresh
        digits = f"{source.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def new_vm_id(self, site_id: str) -> str:
        """An id for a VM: a UUID, on vSphere what its servers give (``vm-12``, on an ESXi host ``12``)."""
        uuid = self.new_id()
        site = self.sites.get(site_id)
        if site is None or site.kind != "vsphere":
            return uuid
        number = next(self._vm_numbers)
        return str(number) if site.flavour == "esxi" else f"vm-{number}"

    def new_mac(self) -> str:
        """A new MAC address of the kind that hypervisors make up."""
        source = self._random if self._repeatable else self._fresh
        digits = f"{source.getrandbits(40):010x}"
        return "fa:" + ":".join(digits[i : i + 2] for i in range(0, 10, 2))

    def new_lease(self) -> str:
        """An IPv4 address for a guest that has none, as from DHCP."""
        with self.lock:
            self._leases += 1
            return f"10.99.{self._leases // 250}.{self._leases % 250 + 1}"

    def seal(self) -> None:
        """The default estate is complete: ids from now on differ from run to run."""
        with self.lock:
            self._repeatable = False

    # ---- objects and changes -----------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The change counter; grows by one with each change."""
        return self._version

    def add(self, obj: WorldObject) -> None:
        """Put a new object into its table."""
        with self.lock:
            self._tables[KINDS[type(obj)]][obj.id] = obj
            if isinstance(obj, Vm | Host):
                self.addresses.update(obj)
            self._commit("add", obj)

    def changed(self, obj: WorldObject | Task) -> None:
        """Say that ``obj`` was changed (the caller holds the lock and has changed it); one removed is ignored."""
        with self.lock:
            if not isinstance(obj, Task) and self._tables[KINDS[type(obj)]].get(obj.id) is not obj:
                return
            if isinstance(obj, Vm | Host):
                self.addresses.update(obj)
            self._commit("mod", obj)

    def remove(self, obj: WorldObject) -> None:
        """Take an object out of its table."""
        with self.lock:
            if self._tables[KINDS[type(obj)]].pop(obj.id, None) is None:
                return
            if isinstance(obj, Vm | Host):
                self.addresses.forget(obj)
            self._commit("del", obj)

    def _commit(self, op: str, obj: WorldObject | Task) -> None:
        if isinstance(obj, Site):
            site_id = obj.id
        else:
            site_id = obj.site_id
        self._version += 1
        change = Change(self._version, op, KINDS.get(type(obj), "task"), obj.id, site_id)
        self._log.append(change)
        for listener in self._listeners:
            listener(change)
        self._changed.notify_all()

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``listener`` for every change, at once and under the lock; the result stops that."""
        with self.lock:
            self._listeners = [*self._listeners, listener]

        def stop() -> None:
            with self.lock:
                self._listeners = [other for other in self._listeners if other is not listener]

        return stop

    def wait_for_change(self, since: int, timeout_s: float) -> int:
        """Wait until the counter passes ``since``, the world closes or the time is up; returns the counter."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > since or self._closed, timeout_s)
            return self._version

    def poke(self) -> None:
        """Wake everybody in ``wait_for_change`` whose condition is looked at again (a server that stops)."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def changes_since(self, since: int, site_id: str | None = None) -> list[Change] | None:
        """Changes after ``since``, merged to one per object (add+mod = add, add+del = nothing), oldest first.

        None if the log does not reach back that far: read everything again.
        """
        with self.lock:
            if self._log and self._log[0].version > since + 1 and len(self._log) == CHANGES_KEPT:
                return None
            recent = itertools.takewhile(lambda change: change.version > since, reversed(self._log))
            merged: dict[str, Change] = {}
            for change in reversed(list(recent)):
                if site_id is not None and change.site_id != site_id:
                    continue
                before = merged.pop(change.id, None)
                op = change.op
                if before is not None and before.op == "add":
                    if op == "del":
                        continue
                    op = "add"
                elif before is not None and before.op == "del" and op == "add":
                    op = "mod"
                merged[change.id] = Change(change.version, op, change.kind, change.id, change.site_id)
            return list(merged.values())

    def find(self, kind: str, object_id: str) -> Any:
        """The object of that kind and id; raises ``errors.NotFound``."""
        try:
            return self._tables[kind][object_id]
        except KeyError:
            raise errors.NotFound(kind, object_id) from None

    def vm(self, vm_id: str) -> Vm:
        """The VM with that id; raises ``errors.NotFound``."""
        try:
            return self.vms[vm_id]
        except KeyError:
            raise errors.NotFound("vm", vm_id) from None

    def host(self, host_id: str) -> Host:
        """The host with that id; raises ``errors.NotFound``."""
        try:
            return self.hosts[host_id]
        except KeyError:
            raise errors.NotFound("host", host_id) from None

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """The snapshot with that id; raises ``errors.NotFound``."""
        try:
            return self.snapshots[snapshot_id]
        except KeyError:
            raise errors.NotFound("snapshot", snapshot_id) from None

    def vm_named(self, name: str, site_id: str | None = None) -> Vm:
        """The first VM of that name (tests, the Lab menu); raises ``errors.NotFound``."""
        with self.lock:
            for vm in self.vms.values():
                if vm.name == name and site_id in (None, vm.site_id):
                    return vm
        raise errors.NotFound("vm", name)

    def snapshots_of(self, vm_id: str) -> list[Snapshot]:
        """The VM's snapshots, oldest first."""
        with self.lock:
            found = [snapshot for snapshot in self.snapshots.values() if snapshot.vm_id == vm_id]
        return sorted(found, key=lambda snapshot: snapshot.created)

    def vms_on(self, host_id: str) -> list[Vm]:
        """VMs that run (or are paused) on a host, without control domains."""
        with self.lock:
            return [vm for vm in self.vms.values() if vm.host_id == host_id and not vm.is_control_domain]

    def of_site(self, objects: Iterable[T], site_id: str) -> list[T]:
        """Those of ``objects`` (a table's values) that belong to a site."""
        with self.lock:
            return [obj for obj in objects if getattr(obj, "site_id", None) == site_id]

    # ---- tasks -------------------------------------------------------------------------------------------

    def new_task(
        self,
        site_id: str,
        name: str,
        target_id: str = "",
        *,
        recorded: bool = True,
        description: str = "",
        cancellable: bool = True,
    ) -> Task:
        """A pending task; the caller sees to it that ``finish`` is called (``spawn`` does that itself)."""
        task = Task(
            id=self.new_id(),
            site_id=site_id,
            name=name,
            description=description,
            target_id=target_id,
            created=self.now(),
            recorded=recorded,
            cancellable=cancellable,
        )
        if recorded:
            with self.lock:
                self._drop_old_tasks()
                self.tasks[task.id] = task
                self._commit("add", task)
        return task

    def _drop_old_tasks(self) -> None:
        final = [task for task in self.tasks.values() if task.status is not TaskStatus.PENDING]
        for task in final[: max(0, len(final) - _FINAL_TASKS_KEPT)]:
            self.forget_task(task)

    def forget_task(self, task: Task) -> None:
        """Take a task out of ``tasks``."""
        with self.lock:
            if self.tasks.pop(task.id, None) is not None:
                self._commit("del", task)

    def spawn(
        self, site_id: str, name: str, work: Callable[[Task], Any], target_id: str = "", task: Task | None = None
    ) -> Task:
        """Run ``work(task)`` in a thread of its own and finish the task with what it returns or raises."""
        job = task or self.new_task(site_id, name, target_id)

        def run() -> None:
            try:
                self.finish(job, result=work(job))
            except Exception as error:  # noqa: BLE001 - outer edge of a thread: the task carries the error on
                if not isinstance(error, errors.WorldError):
                    _log.debug("task %s failed", name, exc_info=True)
                self.finish(job, error=error)
            finally:
                with self.lock:
                    self._workers.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=f"lab-task-{name}", daemon=True)
        with self.lock:
            if self._closed:
                self.finish(job, error=errors.Cancelled("the lab is closed"))
                return job
            self._workers.add(thread)
        thread.start()
        return job

    def finish(self, task: Task, *, result: Any = None, error: Exception | None = None) -> None:
        """Make a task final: success with ``result``, or failure (``errors.Cancelled``: cancelled)."""
        with self.lock:
            if task.done.is_set():
                return
            task.finished = self.now()
            task.progress = 1.0 if error is None else task.progress
            task.cancellable = False
            task.result = result
            task.error = error
            if error is None:
                task.status = TaskStatus.SUCCESS
            else:
                task.status = TaskStatus.CANCELLED if isinstance(error, errors.Cancelled) else TaskStatus.FAILURE
            if task.recorded and task.id in self.tasks:
                self._commit("mod", task)
            task.done.set()
            if task.extra.get("destroy"):
                self.forget_task(task)

    def cancel(self, task: Task) -> None:
        """Ask a task to stop; it becomes final when its worker has noticed."""
        with self.lock:
            if task.cancellable and not task.done.is_set():
                task.cancel_requested = True
                task.wake.set()

    def work(self, task: Task, duration_s: float, *, start: float = 0.0, end: float = 1.0) -> None:
        """Let ``duration_s`` pass in the calling thread while the progress goes from ``start`` to ``end``.

        Raises ``errors.Cancelled`` when the task is cancelled or the world closes. Never called with the lock held.
        """
        if duration_s > 0:
            began = time.monotonic()
            for step in range(1, _PROGRESS_STEPS + 1):
                left = began + duration_s * step / _PROGRESS_STEPS - time.monotonic()
                if left > 0 and task.wake.wait(left):
                    break
                self.progress(task, start + (end - start) * step / _PROGRESS_STEPS)
        if task.cancel_requested or self._closed:
            raise errors.Cancelled("cancelled", task.target_id)

    def progress(self, task: Task, fraction: float) -> None:
        """Set the progress of a pending task (0 to 1; it never falls)."""
        with self.lock:
            if task.done.is_set() or fraction <= task.progress:
                return
            task.progress = min(fraction, 0.99)
            if task.recorded and task.id in self.tasks:
                self._commit("mod", task)

    @contextmanager
    def operation(self, obj: Vm | Host | Snapshot, verb: str, task: Task | None = None) -> Iterator[Task]:
        """Enter ``verb`` into ``obj.operations`` while the body runs. Without ``task`` an unrecorded one is made."""
        job = task or self.new_task(obj.site_id, verb, obj.id, recorded=False)
        with self.lock:
            self.running[job.id] = job
            obj.operations[job.id] = verb
            self.changed(obj)
        try:
            yield job
        finally:
            with self.lock:
                self.running.pop(job.id, None)
                obj.operations.pop(job.id, None)
                self.changed(obj)

    def misbehave(self, job: Task, obj: Vm | Host | Snapshot, verb: str) -> None:
        """Let the fault rules for the neutral ``verb`` have their way; never called with the lock held."""
        rule = self.faults.decide(obj.site_id, verb, (obj.id, obj.name))
        if rule is not None:
            self.work(job, rule.delay_s, end=0.5)
            if rule.effect is Effect.FAULT:
                raise errors.Injected(rule.code, rule.params)

    # ---- later -------------------------------------------------------------------------------------------

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run ``action`` under the lock after ``delay_s`` (at once for 0)."""
        with self.lock:
            if delay_s <= 0:
                action()
                return
            if self._closed:
                return
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._sequence), action))
            if self._timer is None:
                self._timer = threading.Thread(target=self._run_timer, name="lab-timer", daemon=True)
                self._timer.start()
            self._due_changed.notify_all()

    def _run_timer(self) -> None:
        with self.lock:
            while not self._closed:
                if not self._due:
                    self._due_changed.wait()
                    continue
                left = self._due[0][0] - time.monotonic()
                if left > 0:
                    self._due_changed.wait(left)
                    continue
                _, _, action = heapq.heappop(self._due)
                try:
                    action()
                except Exception:  # noqa: BLE001 - one broken event must not end the timer
                    _log.exception("a timed event of the lab failed")

    # ---- end ---------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once ``close`` was called: long polls return."""
        return self._closed

    def close(self, timeout_s: float = 2.0) -> None:
        """Cancel all work, wake all waiters, end the world's threads."""
        with self.lock:
            self._closed = True
            for task in (*self.tasks.values(), *self.running.values()):
                task.wake.set()
            self._changed.notify_all()
            self._due_changed.notify_all()
            threads = [thread for thread in (self._timer, *self._workers) if thread is not None]
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    # ---- what the virtual network asks -------------------------------------------------------------------

    def answers(self, address: str) -> bool:
        """Whether an ICMP echo request to ``address`` would be answered now."""
        with self.lock:
            if not self.station_online:
                return False
            owner = self.addresses.owner(address)
            if owner is None:
                return self.addresses.is_gateway(address)
            if isinstance(owner, Host):
                return owner.state is HostState.UP
            vm, nic = owner
            if vm.power != "running" or vm.stunned or not vm.guest.answers_ping:
                return False
            if not nic.plugged or not nic.connected:
                return False
            if self.timing.boot and self.now() - vm.started < self.timing.boot and vm.boots:
                return False
            host = self.hosts.get(vm.host_id or "")
            return host is None or host.state is HostState.UP
