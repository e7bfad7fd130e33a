"""Checkpoints: take, apply, delete, find. Taking one asks the host at once: no question comes before it.

Any worker thread; every function blocks until the host says that it is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from hvconsole import whynot
from hvconsole.backends import hyperv_facts as facts
from hvconsole.backends import hyperv_model as model
from hvconsole.backends import wmi_path, wmi_query
from hvconsole.backends.base import SnapshotSearch, TaskContext
from hvconsole.backends.hyperv_facts import SettingsFact, settings_epr, vm_epr
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.hyperv_power import PowerVerbs
from hvconsole.backends.hyperv_read import MANAGEMENT, SNAPSHOTS, Reader
from hvconsole.backends.wmi_instance import Instance, Value
from hvconsole.backends.wsman_envelope import V2, Epr
from hvconsole.backends.wsman_faults import JOB_STARTED, check_return
from hvconsole.clock import Clock
from hvconsole.errors import (
    BadPowerState,
    Busy,
    HvError,
    InvalidInput,
    NotFound,
    NotSupported,
    OutcomeUnknown,
    Refused,
    ToolsMissing,
)
from hvconsole.model import ObjectId, PowerState, Snapshot, Verb, Vm
from hvconsole.text import unsendable

log = logging.getLogger(__name__)

_FULL = 2
_NAME_TRIES, _NAME_PAUSE_S = 8, 0.5
_UNNAMED_S = 15.0
"""How long a new checkpoint with Hyper-V's own name may be one that somebody is about to name."""
_LOST_TRIES, _LOST_PAUSE_S = 120, 1.0


class SnapshotVerbs:
    """Checkpoint verbs of one host. ``known`` gives the VM as last seen, without asking the host."""

    def __init__(
        self, reader: Reader, jobs: Jobs, power: PowerVerbs, clock: Clock, known: Callable[[str], Vm | None]
    ) -> None:
        self._reader = reader
        self._client = reader.client
        self._jobs = jobs
        self._power = power
        self._clock = clock
        self._known = known

    def take(
        self, guid: str, name: str, description: str, ctx: TaskContext, *, memory: bool, quiesce: bool
    ) -> Snapshot:
        """A checkpoint of that name. ``memory``: a standard one, ``quiesce``: a production one, else the VM's own kind.

        Sent once. If it was taken but could not be named, ``Refused`` says so.
        """
        for text in (name, description):
            problem = unsendable(text)
            if problem:
                raise InvalidInput(problem)
        if memory and quiesce:
            raise InvalidInput("A checkpoint is either one with memory or a quiesced one.")
        before = self._known(guid)
        self._check(before, memory=memory, quiesce=quiesce)
        if not (memory or quiesce):
            return self._take(guid, name, description, ctx, before)
        with self._kind(guid, facts.STANDARD if memory else facts.PRODUCTION_ONLY, ctx):
            return self._take(guid, name, description, ctx, before)

    @contextmanager
    def _kind(self, guid: str, wanted: int, ctx: TaskContext) -> Iterator[None]:
        """Let the VM have another kind of checkpoint for the moment: Hyper-V knows no other way to ask for one."""
        now = next(
            (
                fact.snapshot_type
                for fact in map(facts.settings_fact, self._reader.settings(guid))
                if fact is not None and fact.is_realized
            ),
            None,
        )
        if now is None and wanted == facts.PRODUCTION_ONLY:
            raise NotSupported("This version of Windows takes no quiesced checkpoints.")
        if now is None or now in (wanted, facts.CHECKPOINTS_OFF):
            yield
            return
        self._set_kind(guid, wanted, ctx)
        try:
            yield
        finally:
            try:
                self._set_kind(guid, now, TaskContext())
            except HvError as exc:
                log.error("the kind of checkpoints of a VM could not be set back: %s", exc.detail or exc.user_text)

    def _set_kind(self, guid: str, kind: int, ctx: TaskContext) -> None:
        settings = Instance(
            "Msvm_VirtualSystemSettingData", {"InstanceID": f"Microsoft:{guid}", "UserSnapshotType": kind}
        )
        self._jobs.run(
            self._reader.service(MANAGEMENT),
            "ModifySystemSettings",
            {"SystemSettings": settings},
            ctx,
            "choosing the kind of checkpoint",
        )

    def _take(self, guid: str, name: str, description: str, ctx: TaskContext, before: Vm | None) -> Snapshot:
        try:
            value, output = self._client.invoke(
                self._reader.service(SNAPSHOTS),
                "CreateSnapshot",
                {"AffectedSystem": vm_epr(guid), "SnapshotSettings": "", "SnapshotType": _FULL},
                ctx,
            )
        except OutcomeUnknown:
            self._name_lost(guid, name, description, before)
            raise
        check_return(
            value,
            special={
                32775: Busy(
                    "The host takes no checkpoint of the VM now: something else is going on with it, or "
                    "checkpoints are switched off for it.",
                    code="32775",
                ),
                32777: ToolsMissing(whynot.tools_missing(Verb.SNAPSHOT_QUIESCE, model.SERVICES), code="32777"),
            },
        )
        job = output.reference("Job") if value == JOB_STARTED else None
        if job is not None:
            self._jobs.wait(job, ctx, "taking a checkpoint")
        made = self._made(guid, output.reference("ResultingSnapshot"), job, before)
        self._name(made, name, description)
        return self._read(guid, made)

    @staticmethod
    def _check(vm: Vm | None, *, memory: bool, quiesce: bool) -> None:
        """Refusals that are certain from what was last seen; the host has the last word on the rest."""
        if vm is None or vm.power is PowerState.UNKNOWN:
            return
        verb = Verb.SNAPSHOT_MEMORY if memory else Verb.SNAPSHOT_QUIESCE
        if (memory or quiesce) and vm.power is PowerState.HALTED:
            raise BadPowerState(whynot.wrong_state(verb, vm.power, model.LEGAL[verb]))

    def _made(self, guid: str, result: Epr | None, job: Epr | None, before: Vm | None) -> str:
        """GUID of the checkpoint that was just made."""
        if result is not None:
            found = facts.guid_in(result.keys.get("InstanceID", ""))
            if found:
                return found
        job_id = job.keys.get("InstanceID", "") if job is not None else ""
        if job is not None and wmi_query.is_guid(job_id):
            path = wmi_path.relative(job.class_name, {"InstanceID": job_id})
            query = wmi_query.associators(
                path, assoc_class="Msvm_AffectedJobElement", result_class="Msvm_VirtualSystemSettingData"
            )
            try:
                for record in self._client.query(V2, query):
                    fact = facts.settings_fact(record)
                    if fact is not None and fact.is_checkpoint:
                        return fact.guid
            except HvError as exc:
                log.info("the job doesn't name the checkpoint it made: %s", exc)
        old = {snapshot.id for snapshot in before.snapshots} if before is not None else set()
        new = self._new(guid, old)
        if before is None or len(new) != 1:
            raise OutcomeUnknown("The host says that the checkpoint was taken, but not which one it is.")
        return new[0].guid

    def _name_lost(self, guid: str, name: str, description: str, before: Vm | None) -> None:
        """After a lost answer: if the checkpoint came to be, give it its name, so that whoever looks finds it.

        Nothing is asked for twice. Where more than one is new, none is touched.
        """
        if before is None:
            return
        old = {snapshot.id for snapshot in before.snapshots}
        try:
            with self._jobs.waking(TaskContext()) as wake:
                for _attempt in range(_LOST_TRIES):
                    busy = facts.CREATING_CHECKPOINT in self._reader.system(guid).numbers("OperationalStatus")
                    new = self._new(guid, old)
                    if not busy:
                        break
                    self._jobs.pause(wake, _LOST_PAUSE_S)
            if not busy and len(new) == 1:
                self._name(new[0].guid, name, description)
        except HvError as exc:
            log.warning("what became of a checkpoint could not be found out: %s", exc.detail or exc.user_text)

    def _name(self, checkpoint: str, name: str, description: str) -> None:
        """Hyper-V names checkpoints itself; this puts ours in its place. Setting it again is harmless."""
        values: dict[str, Value] = {"InstanceID": f"Microsoft:{checkpoint}", "ElementName": name}
        if description:
            values["Notes"] = [description]
        settings = Instance("Msvm_VirtualSystemSettingData", values)
        with self._jobs.waking(TaskContext()) as wake:
            for attempt in range(1, _NAME_TRIES + 1):
                try:
                    self._jobs.run(
                        self._reader.service(MANAGEMENT),
                        "ModifySystemSettings",
                        {"SystemSettings": settings},
                        TaskContext(),
                        "naming the checkpoint",
                    )
                    return
                except (BadPowerState, Busy) as exc:
                    # The management service is busy for a moment after a checkpoint; it did nothing.
                    if attempt == _NAME_TRIES:
                        raise Refused(
                            "The checkpoint was taken, but the host doesn't let it be named.", exc.detail
                        ) from exc
                self._jobs.pause(wake, _NAME_PAUSE_S)

    def _checkpoints(self, guid: str) -> list[SettingsFact]:
        found = map(facts.settings_fact, self._reader.settings(guid))
        return [fact for fact in found if fact is not None and fact.is_checkpoint]

    def _new(self, guid: str, old: Collection[ObjectId]) -> list[SettingsFact]:
        """Checkpoints that are not among ``old``; a backup may take one of its own at the same moment."""
        found = self._checkpoints(guid)
        return [fact for fact in found if facts.object_id(fact.guid) not in old and not fact.foreign]

    def _snapshots(self, guid: str) -> tuple[Snapshot, ...]:
        return model.build_snapshots(tuple(self._checkpoints(guid)))

    def _read(self, guid: str, checkpoint: str) -> Snapshot:
        for snapshot in self._snapshots(guid):
            if snapshot.id == facts.object_id(checkpoint):
                return snapshot
        raise OutcomeUnknown("The checkpoint was taken and isn't in the list any more.")

    def _belongs(self, guid: str, checkpoint: str) -> None:
        """Raise for a checkpoint that isn't the VM's, or that a program made for itself and still needs."""
        wmi_query.guid(checkpoint)
        found = next((fact for fact in self._checkpoints(guid) if fact.guid == checkpoint), None)
        if found is None:
            raise NotFound("That checkpoint doesn't exist on the host any more.")
        if found.foreign:
            raise Refused(
                f"{found.foreign}: the program that made it looks after it, so it isn't touched here.",
                found.kind,
                code="foreign-checkpoint",
            )

    def revert(self, guid: str, checkpoint: str, ctx: TaskContext) -> None:
        """Apply a checkpoint; a VM that runs is turned off first, because the host refuses otherwise."""
        self._belongs(guid, checkpoint)
        power, _changing = self._power.state(guid)
        if power in (PowerState.RUNNING, PowerState.PAUSED):
            self._power.request(guid, Verb.POWER_OFF, ctx)
        self._jobs.run(
            self._reader.service(SNAPSHOTS),
            "ApplySnapshot",
            {"Snapshot": settings_epr(checkpoint)},
            ctx,
            "applying the checkpoint",
        )

    def delete(self, guid: str, checkpoint: str, ctx: TaskContext, *, children: bool) -> None:
        """Delete a checkpoint, or it and everything below it. The host may go on merging disks afterwards."""
        self._belongs(guid, checkpoint)
        service, target = self._reader.service(SNAPSHOTS), settings_epr(checkpoint)
        if children:
            self._jobs.run(
                service, "DestroySnapshotTree", {"SnapshotSettingData": target}, ctx, "deleting the checkpoints"
            )
        else:
            self._jobs.run(service, "DestroySnapshot", {"AffectedSnapshot": target}, ctx, "deleting the checkpoint")

    def find(self, guid: str, name: str) -> SnapshotSearch:
        """Checkpoints of that name as the host has them now, and whether one is being taken."""
        system = self._reader.system(guid)
        every = self._snapshots(guid)
        running = facts.CREATING_CHECKPOINT in system.numbers("OperationalStatus")
        # A checkpoint is finished a moment before whoever took it has named it: that moment counts as "running".
        default = f"{system.text('ElementName')} - ("
        running |= any(snapshot.name.startswith(default) and self._is_fresh(snapshot) for snapshot in every)
        return SnapshotSearch(found=tuple(each for each in every if each.name == name), running=running)

    def _is_fresh(self, snapshot: Snapshot) -> bool:
        if snapshot.created is None:
            return False
        return abs((self._clock.now() - snapshot.created).total_seconds()) < _UNNAMED_S
