"""The managed objects of one site: which there are, what is above and below them. Their ids are those of the world.

What vSphere has and the world has not (root folders, compute resources, root resource pools) gets ids made of the
ids of what it belongs to. The caller holds ``world.lock`` for every method.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from hvconsole.lab.objects import Group, Host, Network, Site, Storage, Vm
from hvconsole.lab.vsphere.values import Ref
from hvconsole.lab.world import World

VM_FOLDER, HOST_FOLDER, STORE_FOLDER, NETWORK_FOLDER = "group-v-", "group-h-", "group-s-", "group-n-"
COMPUTE, POOL = "domain-s-", "resgroup-"
DISTRIBUTED_SWITCH = "VmwareDistributedVirtualSwitch"
_GROUPS = {
    "datacenter": "Datacenter",
    "cluster": "ClusterComputeResource",
    "folder": "Folder",
    "resource pool": "ResourcePool",
}


class Tree:
    """Looks at one site of a world."""

    def __init__(self, world: World, site: Site) -> None:
        self.world = world
        self.site = site
        self.vcenter = site.flavour != "esxi"
        self.root = Ref("Folder", "group-d1" if self.vcenter else "ha-folder-root")

    # ---- what there is -----------------------------------------------------------------------------------

    def groups(self, kind: str) -> list[Group]:
        """The site's groups of a kind."""
        return [group for group in self.world.groups.values() if group.site_id == self.site.id and group.kind == kind]

    def hosts(self) -> list[Host]:
        """The site's hosts."""
        return [host for host in self.world.hosts.values() if host.site_id == self.site.id]

    def vms(self) -> list[Vm]:
        """The site's VMs and templates."""
        return [vm for vm in self.world.vms.values() if vm.site_id == self.site.id]

    def networks(self) -> list[Network]:
        """The site's networks."""
        return [network for network in self.world.networks.values() if network.site_id == self.site.id]

    @property
    def switch_id(self) -> str:
        """The distributed switch, there as soon as a network is one of its port groups."""
        return f"dvs-{self.site.id}"

    @property
    def switch_uuid(self) -> str:
        """What cards call the distributed switch."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.switch_id))

    def network_ref(self, network_id: str) -> Ref:
        """The reference to a network: a standard one, unless its ``extra`` says another kind."""
        network = self.world.networks.get(network_id)
        return Ref("Network" if network is None else str(network.extra.get("kind", "Network")), network_id)

    def storages(self) -> list[Storage]:
        """The site's storages."""
        return [storage for storage in self.world.storages.values() if storage.site_id == self.site.id]

    def datacenter_id(self) -> str:
        """The datacenter in which everything is that names none."""
        found = self.groups("datacenter")
        return found[0].id if found else "ha-datacenter"

    def datacenters(self) -> list[str]:
        """Ids of all datacenters."""
        return [group.id for group in self.groups("datacenter")] or ["ha-datacenter"]

    def kind(self, moid: str) -> str | None:
        """The class of a managed entity, None if there is none of that id."""
        world = self.world
        if moid == self.root.id or moid.startswith((VM_FOLDER, HOST_FOLDER, STORE_FOLDER, NETWORK_FOLDER)):
            return "Folder"
        for table, kind in (
            (world.vms, "VirtualMachine"),
            (world.hosts, "HostSystem"),
            (world.networks, "Network"),
            (world.storages, "Datastore"),
            (world.snapshots, "VirtualMachineSnapshot"),
            (world.tasks, "Task"),
        ):
            found = table.get(moid)
            if found is not None:
                if found.site_id != self.site.id:
                    return None
                return self.network_ref(moid).type if kind == "Network" else kind
        group = world.groups.get(moid)
        if group is not None:
            return _GROUPS.get(group.kind) if group.site_id == self.site.id else None
        if moid == "ha-datacenter" and not self.vcenter:
            return "Datacenter"
        if moid == self.switch_id:
            return DISTRIBUTED_SWITCH
        if moid.startswith(COMPUTE):
            return "ComputeResource" if moid[len(COMPUTE) :] in world.hosts else None
        if moid.startswith(POOL):
            return "ResourcePool" if self.kind(moid[len(POOL) :]) else None
        return None

    def ref(self, moid: str) -> Ref:
        """A reference to an object that exists."""
        return Ref(self.kind(moid) or "ManagedEntity", moid)

    # ---- where it is -------------------------------------------------------------------------------------

    def compute_id(self, host: Host) -> str:
        """The compute resource of a host."""
        group = self.world.groups.get(host.group_id or "")
        return group.id if group is not None and group.kind == "cluster" else COMPUTE + host.id

    def compute_hosts(self, compute_id: str) -> list[Host]:
        """The hosts of a compute resource."""
        return [host for host in self.hosts() if self.compute_id(host) == compute_id]

    def registered_host(self, vm: Vm) -> Host | None:
        """The host that a VM belongs to, running or not."""
        for host_id in (vm.host_id, vm.suspended_on, vm.home_host_id):
            if host_id is not None and host_id in self.world.hosts:
                return self.world.hosts[host_id]
        stores = {
            self.world.disks[drive.disk_id].storage_id for drive in vm.drives if drive.disk_id in self.world.disks
        }
        hosts = self.hosts()
        return next(
            (
                host
                for host in hosts
                if all(
                    host.id in self.world.storages[store].host_ids for store in stores if store in self.world.storages
                )
            ),
            hosts[0] if hosts else None,
        )

    def pool_of(self, vm: Vm) -> str | None:
        """The resource pool of a VM; templates have none."""
        if vm.is_template:
            return None
        if vm.resource_pool_id in self.world.groups:
            return vm.resource_pool_id
        host = self.registered_host(vm)
        return None if host is None else POOL + self.compute_id(host)

    def compute_of_pool(self, pool_id: str) -> str:
        """The compute resource that owns a resource pool."""
        for _ in range(50):
            if pool_id.startswith(POOL):
                return pool_id[len(POOL) :]
            group = self.world.groups.get(pool_id)
            if group is None or group.kind != "resource pool":
                return pool_id
            pool_id = group.parent_id or ""
        return pool_id

    def parent(self, moid: str) -> Ref | None:
        """The entity above."""
        world = self.world
        if moid == self.root.id:
            return None
        for prefix in (VM_FOLDER, HOST_FOLDER, STORE_FOLDER, NETWORK_FOLDER):
            if moid.startswith(prefix):
                return Ref("Datacenter", moid[len(prefix) :])
        if moid in world.vms:
            folder = world.vms[moid].folder_id
            return Ref("Folder", folder if folder in world.groups else VM_FOLDER + self.datacenter_id())
        if moid in world.hosts:
            return self.ref(self.compute_id(world.hosts[moid]))
        if moid in world.networks:
            return Ref("Folder", NETWORK_FOLDER + self.datacenter_id())
        if moid in world.storages:
            return Ref("Folder", STORE_FOLDER + self.datacenter_id())
        if moid.startswith(COMPUTE):
            return Ref("Folder", HOST_FOLDER + self.datacenter_id())
        if moid.startswith(POOL):
            return self.ref(moid[len(POOL) :])
        group = world.groups.get(moid)
        if group is None or group.kind == "datacenter":
            return self.root
        if group.kind == "cluster":
            return Ref("Folder", HOST_FOLDER + (group.parent_id or self.datacenter_id()))
        if group.kind == "folder":
            above = world.groups.get(group.parent_id or "")
            if above is not None and above.kind == "folder":
                return Ref("Folder", above.id)
            place = str(group.extra.get("place", VM_FOLDER))
            return Ref("Folder", place + (group.parent_id or self.datacenter_id())) if place else self.root
        above = world.groups.get(group.parent_id or "")
        if above is not None and above.kind == "resource pool":
            return Ref("ResourcePool", above.id)
        return Ref("ResourcePool", POOL + (group.parent_id or self.any_compute()))

    def any_compute(self) -> str:
        """Some compute resource."""
        hosts = self.hosts()
        return self.compute_id(hosts[0]) if hosts else ""

    def folders(self) -> list[str]:
        """Ids of all folders but the root."""
        made = [
            prefix + datacenter
            for datacenter in self.datacenters()
            for prefix in (VM_FOLDER, HOST_FOLDER, STORE_FOLDER, NETWORK_FOLDER)
        ]
        return made + [group.id for group in self.groups("folder")]

    def computes(self) -> list[str]:
        """Ids of all compute resources, clusters without hosts too."""
        return list(
            dict.fromkeys(
                [*(group.id for group in self.groups("cluster")), *(self.compute_id(host) for host in self.hosts())]
            )
        )

    def entities(self) -> Iterator[Ref]:
        """Every managed entity below the root."""
        for datacenter in self.datacenters():
            yield Ref("Datacenter", datacenter)
        for folder in self.folders():
            yield Ref("Folder", folder)
        for compute in self.computes():
            yield self.ref(compute)
            yield Ref("ResourcePool", POOL + compute)
        for group in self.groups("resource pool"):
            yield Ref("ResourcePool", group.id)
        for host in self.hosts():
            yield Ref("HostSystem", host.id)
        for storage in self.storages():
            yield Ref("Datastore", storage.id)
        for network in self.networks():
            yield self.network_ref(network.id)
        for vm in self.vms():
            yield Ref("VirtualMachine", vm.id)

    def below(self, top: Ref) -> Iterator[Ref]:
        """Every entity below ``top``."""
        if top.id == self.root.id:
            yield from self.entities()
            return
        for entity in self.entities():
            above = self.parent(entity.id)
            for _ in range(50):
                if above is None:
                    break
                if above.id == top.id:
                    yield entity
                    break
                above = self.parent(above.id)
