"""Which methods the simulated host has, and how a call is answered: parameters checked, work done, outputs named.

The verbs themselves are in ``verbs_*``. Any thread; verbs take the world's lock themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hvconsole.lab import errors
from hvconsole.lab.hyperv import naming, schema
from hvconsole.lab.hyperv.instance import Inst, Ref
from hvconsole.lab.hyperv.jobs import Job
from hvconsole.lab.hyperv.parameters import Embedded, Parameters
from hvconsole.lab.hyperv.picture import Picture
from hvconsole.lab.objects import Snapshot, Vm

DONE, JOB = 0, 4096
FAILED, DENIED, UNSUPPORTED, INVALID_PARAMETER, IN_USE, INVALID_STATE = 32768, 32769, 32770, 32773, 32774, 32775
FILE_MISSING, NOT_READY = 32779, 32780

Output = dict[str, Any]


class ReturnValue(Exception):
    """A method ends with this return value and nothing else."""

    def __init__(self, value: int) -> None:
        super().__init__(str(value))
        self.value = value


class NoSuchMethod(Exception):
    """The class has no method of that name."""


class NoSuchInstance(Exception):
    """The instance that a call or a parameter names does not exist."""


@dataclass(slots=True)
class Call:
    """One method call: on which instance, with what."""

    picture: Picture
    target: Inst
    parameters: Parameters
    auth: str = "ntlm"
    user: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    def vm(self, name: str) -> Vm:
        """The VM that a reference parameter (to a system) names."""
        ref = self.parameters.reference(name)
        if ref is None:
            raise ReturnValue(INVALID_PARAMETER)
        return self.vm_named(ref.value("Name"))

    def vm_named(self, guid: str) -> Vm:
        """The VM with that GUID; raises ``NoSuchInstance``."""
        vm = self.picture.world.vms.get(guid.lower())
        if vm is None or vm.site_id != self.picture.site.id or vm.is_template:
            raise NoSuchInstance(guid)
        return vm

    def settings(self, name: str) -> Vm | Snapshot:
        """What a reference parameter (to settings) names: a VM or a checkpoint."""
        ref = self.parameters.reference(name)
        if ref is None:
            raise ReturnValue(INVALID_PARAMETER)
        return self.owner(ref.value("InstanceID"))

    def owner(self, instance_id: str) -> Vm | Snapshot:
        """The VM or checkpoint that an InstanceID belongs to; raises ``NoSuchInstance``."""
        guid = instance_id.removeprefix("Microsoft:").split("\\")[0].lower()
        world = self.picture.world
        found = world.vms.get(guid) or world.snapshots.get(guid)
        if found is None or found.site_id != self.picture.site.id:
            raise NoSuchInstance(instance_id)
        return found

    def embedded(self, name: str) -> Embedded:
        """The one embedded instance of a parameter."""
        found = self.parameters.instances(name)
        if not found:
            raise ReturnValue(INVALID_PARAMETER)
        return found[0]

    def job(
        self,
        name: str,
        work: Callable[..., Any],
        target_id: str,
        *affected: Ref,
        job_type: int = 0,
        class_name: str = "Msvm_ConcreteJob",
        **outputs: Any,
    ) -> Output:
        """Answer 4096 and work on."""
        job: Job = self.picture.jobs.start(
            name, work, target_id=target_id, job_type=job_type, class_name=class_name, affected=affected
        )
        return {**outputs, "Job": job.ref, "ReturnValue": JOB}


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its in-parameters ("*": any), its out-parameters in order, and the verb."""

    run: Callable[[Call], Output]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def as_return_value(exc: errors.WorldError) -> int:
    """The return value for a refusal of the world."""
    if isinstance(exc, errors.Injected) and exc.code:
        return int(exc.code, 0)
    if isinstance(exc, errors.BadState | errors.Busy):
        return INVALID_STATE
    if isinstance(exc, errors.NoTools):
        return NOT_READY
    if isinstance(exc, errors.InUse):
        return IN_USE
    if isinstance(exc, errors.Blocked):
        return DENIED
    return FAILED


def table() -> dict[str, dict[str, Method]]:
    """Class in lower case → method in lower case → method."""
    from hvconsole.lab.hyperv import (
        verbs_define,
        verbs_host,
        verbs_more,
        verbs_move,
        verbs_power,
        verbs_snapshots,
    )

    merged: dict[str, dict[str, Method]] = {}
    for part in (
        verbs_more.METHODS,
        verbs_power.METHODS,
        verbs_snapshots.METHODS,
        verbs_define.METHODS,
        verbs_move.METHODS,
        verbs_host.METHODS,
    ):
        for class_name, methods in part.items():
            merged.setdefault(class_name.lower(), {}).update({key.lower(): value for key, value in methods.items()})
    return merged


def find(methods: dict[str, dict[str, Method]], namespace: str, class_name: str, name: str) -> Method:
    """The method of a class or of one it inherits from. Raises ``NoSuchMethod``."""
    for candidate, known in methods.items():
        definition = schema.find(namespace, candidate)
        if definition is not None and schema.descends(namespace, class_name, candidate) and name.lower() in known:
            return known[name.lower()]
    raise NoSuchMethod(name)


def invoke(method: Method, call: Call) -> Output:
    """Run a method; refusals become return values."""
    try:
        return {"ReturnValue": DONE, **method.run(call)}
    except ReturnValue as exc:
        return {"ReturnValue": exc.value}
    except errors.NotFound as exc:
        raise NoSuchInstance(exc.object_id) from exc
    except errors.WorldError as exc:
        return {"ReturnValue": as_return_value(exc)}


def settings_ref(owner: Vm | Snapshot) -> Ref:
    """A reference to settings of a VM or checkpoint."""
    return naming.settings_ref("Msvm_VirtualSystemSettingData", naming.settings_id(owner))
