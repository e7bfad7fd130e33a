"""Which automatic snapshots may go. Pure; any thread. Only snapshots that carry the monitor's mark are ever named."""

from __future__ import annotations

from collections.abc import Container

from hvconsole.model import ObjectId, PowerState, Snapshot, Vm


def expendable(vm: Vm, keep: int, spared: Container[ObjectId] = ()) -> tuple[Snapshot, ...]:
    """The automatic snapshots of ``vm`` beyond the newest ``keep``, oldest first; none if ``keep`` is 0.

    A snapshot without a date is kept and does not count: nobody knows that it is old. ``spared``: ids not to name
    (their deletion was refused before).
    """
    if keep <= 0:
        return ()
    own = sorted((s for s in vm.snapshots if s.automatic and s.created is not None), key=_age)
    return tuple(s for s in own[:-keep] if s.id not in spared)


def _age(snapshot: Snapshot) -> tuple[float, str]:
    assert snapshot.created is not None
    return snapshot.created.timestamp(), snapshot.id


def allowed_now(vm: Vm) -> bool:
    """Whether a deletion may be asked for: the VM runs and the server does nothing with it."""
    return vm.power is PowerState.RUNNING and not vm.operations
