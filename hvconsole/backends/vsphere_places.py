"""Where things are: a host's compute resource and its root pool, an object's datacenter, a datacenter's VM folder.

Asked afresh, so verbs work before the first inventory too. Any worker thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hvconsole.backends.vsphere_api import FAULTS, vim, vmodl
from hvconsole.backends.vsphere_devices import read_one
from hvconsole.backends.vsphere_errors import translate
from hvconsole.backends.vsphere_query import managed_kind, retrieve_spec
from hvconsole.backends.vsphere_records import (
    Reader,
    Record,
    flag,
    number,
    references,
    text,
    typed,
    typed_references,
    word,
)
from hvconsole.backends.vsphere_session import Session
from hvconsole.errors import HostUnavailable, InvalidInput, NotFound
from hvconsole.model import ObjectId

_HIGHEST = 60
"""Levels followed upwards; more is a cycle."""


_PARENT: dict[str, Reader] = {"name": text, "parent": typed}
_HOST: Mapping[str, Mapping[str, Reader]] = {
    "HostSystem": {
        "name": text,
        "parent": typed,
        "runtime.connectionState": word,
        "runtime.inMaintenanceMode": flag,
        "summary.hardware.memorySize": number,
        "summary.quickStats.overallMemoryUsage": number,
        "datastore": references,
        "network": typed_references,
        "vm": references,
    }
}
HOSTS: Mapping[str, Mapping[str, Reader]] = {"HostSystem": {"name": text, "summary.managementServerIp": text}}
_COMPUTE: Mapping[str, Mapping[str, Reader]] = {
    kind: {"name": text, "resourcePool": word, "environmentBrowser": word, "host": references}
    for kind in ("ComputeResource", "ClusterComputeResource")
}
_DATACENTER: Mapping[str, Mapping[str, Reader]] = {"Datacenter": {"name": text, "vmFolder": word}}
_STORE: Mapping[str, Mapping[str, Reader]] = {
    "Datastore": {"name": text, "summary.freeSpace": number, "summary.accessible": flag}
}


@dataclass(frozen=True, slots=True)
class Compute:
    """The compute resource (stand-alone host or cluster) that a host belongs to."""

    kind: str
    id: str
    pool_id: str
    browser_id: str
    host_ids: tuple[str, ...]


def host_record(session: Session, host_id: str) -> Record:
    """A host's facts for placing things. Raises ``NotFound``."""
    return read_one(session, "HostSystem", host_id, _HOST)


def compute_of(session: Session, host_id: str) -> Compute:
    """The compute resource of a host. Raises ``NotFound``."""
    kind, moid = host_record(session, host_id).get("parent", ("", ""))
    if kind not in _COMPUTE:
        raise NotFound("The host's compute resource isn't known.")
    record = read_one(session, kind, moid, _COMPUTE)
    return Compute(
        kind, moid, record.get("resourcePool", ""), record.get("environmentBrowser", ""), record.get("host", ())
    )


def datacenter_of(session: Session, kind: str, moid: str) -> Record:
    """The datacenter above an object. Raises ``NotFound``."""
    for _ in range(_HIGHEST):
        if kind == "Datacenter":
            return read_one(session, kind, moid, _DATACENTER)
        record = read_one(session, kind, moid, {kind: _PARENT})
        kind, moid = record.get("parent", ("", ""))
        if not moid:
            break
    raise NotFound("The datacenter of it isn't known.")


def vm_folder(session: Session, host_id: str) -> Any:
    """The root VM folder of a host's datacenter, as pyVmomi's object."""
    datacenter = datacenter_of(session, "HostSystem", host_id)
    return session.object(vim.Folder, datacenter.get("vmFolder", ""))


def list_kind(session: Session, kind: str, readers: Mapping[str, Mapping[str, Reader]]) -> list[Record]:
    """All objects of a kind with some properties, through a view that is destroyed again."""
    content = session.content
    view = session.read(lambda: content.viewManager.CreateContainerView(content.rootFolder, [managed_kind(kind)], True))
    query = vmodl.query.PropertyCollector
    step = query.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
    spec = query.FilterSpec(
        objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[step])],
        propSet=[query.PropertySpec(type=managed_kind(kind), pathSet=list(readers[kind]), all=False)],
    )
    try:
        return retrieve_spec(session, spec, readers)
    except FAULTS as fault:
        raise translate(fault) from fault
    finally:
        session.read(view.DestroyView)


def best_host(session: Session, storage_id: str | None = None, network_id: str | None = None) -> ObjectId:
    """A host for something new: connected, not in maintenance, with the most free memory.

    It sees the datastore and the network that were chosen. Raises ``HostUnavailable``.
    """
    fit = [host for host in list_kind(session, "HostSystem", _HOST) if takes_vms(host)]
    if not fit:
        raise HostUnavailable("No host accepts VMs now.")
    if storage_id is not None:
        fit = [host for host in fit if storage_id in host.get("datastore", ())]
    if network_id is not None:
        fit = [host for host in fit if any(one == network_id for _kind, one in host.get("network", ()))]
    if not fit:
        raise HostUnavailable("No host that accepts VMs now has both the chosen datastore and the chosen network.")
    return ObjectId(max(fit, key=free_memory).id)


def takes_vms(host: Record) -> bool:
    """Whether a host is connected and not in maintenance."""
    return host.get("runtime.connectionState", "") == "connected" and not host.get("runtime.inMaintenanceMode", False)


def free_memory(host: Record) -> int:
    """Free memory of a host in bytes, as its last statistics say."""
    used = int(host.get("summary.quickStats.overallMemoryUsage", 0)) << 20
    return max(0, int(host.get("summary.hardware.memorySize", 0)) - used)


def best_store(session: Session, host: Record, storage_id: str | None, needed_bytes: int = 0) -> Record:
    """The chosen datastore, or the one with the most room among those that the host sees.

    Raises ``InvalidInput`` when the host doesn't see the chosen one, ``NotFound`` when there is none.
    """
    seen = host.get("datastore", ())
    if storage_id is not None and storage_id not in seen:
        raise InvalidInput("The chosen datastore can't be seen by that host.")
    wanted = [storage_id] if storage_id is not None else list(seen)
    stores = [read_one(session, "Datastore", one, _STORE) for one in wanted]
    usable = [store for store in stores if store.get("summary.accessible", True)]
    if not usable:
        raise NotFound("The host has no usable datastore.")
    return max(usable, key=lambda store: int(store.get("summary.freeSpace", 0)))
