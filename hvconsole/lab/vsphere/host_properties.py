"""The properties of hosts, containers, networks, datastores and tasks. The caller holds ``world.lock``."""

from __future__ import annotations

from typing import Any

from hvconsole.lab import power
from hvconsole.lab.objects import Host, HostState, Storage
from hvconsole.lab.tasks import Task, TaskStatus
from hvconsole.lab.vsphere import host_more
from hvconsole.lab.vsphere import resource_properties as resources
from hvconsole.lab.vsphere.faults import translate
from hvconsole.lab.vsphere.tree import DISTRIBUTED_SWITCH, POOL, STORE_FOLDER, Tree
from hvconsole.lab.vsphere.values import Array, Data, Number, Ref, Typed, Width, Word, array, long, short, when
from hvconsole.lab.vsphere.vm_properties import Properties, escaped

MIB = 1 << 20
_STATES = {
    TaskStatus.PENDING: "running",
    TaskStatus.SUCCESS: "success",
    TaskStatus.FAILURE: "error",
    TaskStatus.CANCELLED: "error",
}
_CONTENTS = {
    "group-v-": "VirtualMachine",
    "group-h-": "ComputeResource",
    "group-s-": "Datastore",
    "group-n-": "Network",
}


def about(tree: Tree) -> Data:
    """``AboutInfo`` of the site."""
    site = tree.site
    name = "VMware vCenter Server" if tree.vcenter else "VMware ESXi"
    build = str(site.extra.get("build", "22617221"))
    return Data(
        "AboutInfo",
        name=name,
        fullName=f"{name} {site.version} build-{build}",
        vendor="VMware, Inc.",
        version=site.version,
        patchLevel="00300",
        build=build,
        localeVersion="INTL",
        localeBuild="000",
        osType="linux-x64" if tree.vcenter else "vmnix-x86",
        productLineId="vpx" if tree.vcenter else "embeddedEsx",
        apiType="VirtualCenter" if tree.vcenter else "HostAgent",
        apiVersion=str(site.extra.get("api", "8.0.2.0")),
        instanceUuid=site.id,
        licenseProductName="VMware VirtualCenter Server" if tree.vcenter else "VMware ESX Server",
        licenseProductVersion=site.version.partition(".")[0] + ".0",
    )


def host_properties(tree: Tree, host: Host, certificate: bytes) -> Properties:
    """A host. ``certificate``: PEM of what it presents."""
    world = tree.world

    def connection() -> Word:
        up = host.state is HostState.UP
        apart = up and host.extra.get("disconnected")
        return Word("HostSystemConnectionState", "disconnected" if apart else "connected" if up else "notResponding")

    def runtime() -> Data:
        up = host.state is HostState.UP
        return Data(
            "HostRuntimeInfo",
            connectionState=connection(),
            powerState=Word("HostSystemPowerState", "poweredOn" if up else "unknown"),
            inMaintenanceMode=host.maintenance,
            bootTime=when(host.booted) if up else None,
        )

    def hardware() -> Data:
        return Data(
            "HostHardwareSummary",
            vendor=host.vendor,
            model=host.hardware,
            uuid=host.id,
            memorySize=long(host.memory_bytes),
            cpuModel=host.cpu_model,
            cpuMhz=host.cpu_mhz,
            numCpuPkgs=short(host.sockets),
            numCpuCores=short(host.cores),
            numCpuThreads=short(host.cpus),
            numNics=len(host.nics),
            numHBAs=2,
        )

    def product() -> Data:
        version = host.version or tree.site.version
        return Data(
            "AboutInfo",
            name="VMware ESXi",
            fullName=f"VMware ESXi {version} build-22380479",
            vendor="VMware, Inc.",
            version=version,
            build="22380479",
            osType="vmnix-x86",
            productLineId="embeddedEsx",
            apiType="HostAgent",
            apiVersion=str(tree.site.extra.get("api", "8.0.2.0")),
        )

    def summary() -> Data:
        used = (host.memory_bytes - power.memory_free(world, host)) // MIB
        return Data(
            "HostListSummary",
            host=Ref("HostSystem", host.id),
            hardware=hardware,
            runtime=runtime,
            config=lambda: Data(
                "HostConfigSummary",
                name=host.name,
                port=443,
                product=product,
                vmotionEnabled=True,
                faultToleranceEnabled=False,
            ),
            quickStats=lambda: Data(
                "HostListSummaryQuickStats",
                overallCpuUsage=host.cores * 150,
                overallMemoryUsage=used,
                uptime=max(0, int(world.now() - host.booted)),
            ),
            overallStatus=Word("ManagedEntityStatus", "green"),
            rebootRequired=False,
        )

    def seen(objects: Any, kind: str) -> Array:
        return array("ManagedObjectReference", (Ref(kind, one.id) for one in objects))

    return {
        "name": lambda: escaped(host.name),
        "parent": lambda: tree.parent(host.id),
        "summary": summary,
        "runtime": runtime,
        "config": lambda: Data(
            "HostConfigInfo",
            host=Ref("HostSystem", host.id),
            product=product,
            hyperThread=lambda: host_more.threads(host),
            storageDevice=lambda: host_more.devices(tree, host),
            fileSystemVolume=lambda: host_more.file_systems(tree, host),
            network=lambda: host_network(tree, host),
            service=host_more.services,
            firewall=host_more.firewall,
            autoStart=host_more.automatic_start,
            option=host_more.options,
            dateTimeInfo=host_more.clock,
            adminDisabled=False,
            lockdownMode=Word("HostLockdownMode", "lockdownDisabled"),
            certificate=lambda: _octets(certificate),
        ),
        "hardware": lambda: host_more.hardware(tree, host),
        **host_more.more_properties(tree, host),
        "vm": lambda: seen((vm for vm in tree.vms() if tree.registered_host(vm) is host), "VirtualMachine"),
        "datastore": lambda: seen((one for one in tree.storages() if host.id in one.host_ids), "Datastore"),
        "network": lambda: array(
            "ManagedObjectReference", (tree.network_ref(one.id) for one in _networks_of(tree, host))
        ),
    }


def _octets(data: bytes) -> Array:
    """Bytes as the schema has them: signed numbers, one element each."""
    return array("byte", (Number(one - 256 if one > 127 else one, Width.BYTE) for one in data))


def _networks_of(tree: Tree, host: Host) -> list[Any]:
    """Networks with a card on the host, and those that are internal to every host."""
    cabled = {nic.network_id for one in tree.hosts() for nic in one.nics}
    own = {nic.network_id for nic in host.nics}
    return [one for one in tree.networks() if one.id in own or one.id not in cabled]


def host_network(tree: Tree, host: Host) -> Data:
    devices = list(dict.fromkeys(nic.device for nic in host.nics))
    names = {device: f"vmnic{at}" for at, device in enumerate(devices)}
    pnics = [
        Data(
            "PhysicalNic",
            key=f"key-vim.host.PhysicalNic-{names[nic.device]}",
            device=names[nic.device],
            pci=f"0000:0{at}:00.0",
            driver="ixgben",
            linkSpeed=Data("PhysicalNicLinkInfo", speedMb=nic.speed_mbps, duplex=True) if nic.link_up else None,
            spec=Data("PhysicalNicSpec"),
            wakeOnLanSupported=True,
            mac=nic.mac,
        )
        for at, nic in enumerate({n.device: n for n in host.nics}.values())
    ]
    vnics = [
        Data(
            "HostVirtualNic",
            device=f"vmk{at}",
            key=f"key-vim.host.VirtualNic-vmk{at}",
            portgroup=_network_name(tree, nic.network_id),
            spec=Data(
                "HostVirtualNicSpec",
                ip=Data("HostIpConfig", dhcp=False, ipAddress=nic.address, subnetMask=nic.netmask),
                mac=nic.mac,
                mtu=1500,
            ),
        )
        for at, nic in enumerate(one for one in host.nics if one.address)
    ]
    switches: dict[str, list[str]] = {}
    groups: list[Data] = []
    proxied: list[str] = []
    for network in _networks_of(tree, host):
        card = next((nic for nic in host.nics if nic.network_id == network.id), None)
        if network.extra.get("kind") == "DistributedVirtualPortgroup":
            if card is not None:
                proxied.append(f"key-vim.host.PhysicalNic-{names[card.device]}")
            continue
        switch = f"vSwitch{devices.index(card.device)}" if card is not None else "vSwitch9"
        uplinks = switches.setdefault(switch, [])
        if card is not None and f"key-vim.host.PhysicalNic-{names[card.device]}" not in uplinks:
            uplinks.append(f"key-vim.host.PhysicalNic-{names[card.device]}")
        groups.append(
            Data(
                "HostPortGroup",
                key=f"key-vim.host.PortGroup-{network.name}",
                vswitch=f"key-vim.host.VirtualSwitch-{switch}",
                computedPolicy=Data("HostNetworkPolicy"),
                spec=Data(
                    "HostPortGroupSpec",
                    name=network.name,
                    vlanId=max(0, network.vlan),
                    vswitchName=switch,
                    policy=Data("HostNetworkPolicy"),
                ),
            )
        )
    return Data(
        "HostNetworkInfo",
        vswitch=array(
            "HostVirtualSwitch",
            (
                Data(
                    "HostVirtualSwitch",
                    name=name,
                    key=f"key-vim.host.VirtualSwitch-{name}",
                    numPorts=1536,
                    numPortsAvailable=1500,
                    mtu=1500,
                    pnic=array("string", uplinks),
                    spec=Data("HostVirtualSwitchSpec", numPorts=1536),
                )
                for name, uplinks in switches.items()
            ),
        ),
        proxySwitch=array(
            "HostProxySwitch",
            (
                Data(
                    "HostProxySwitch",
                    dvsUuid=tree.switch_uuid,
                    dvsName="DSwitch",
                    key="DvsPortset-0",
                    numPorts=1536,
                    numPortsAvailable=1500,
                    pnic=array("string", dict.fromkeys(proxied)),
                    spec=Data("HostProxySwitchSpec"),
                )
                for _ in proxied[:1]
            ),
        ),
        portgroup=array("HostPortGroup", groups),
        pnic=array("PhysicalNic", pnics),
        vnic=array("HostVirtualNic", vnics),
        dnsConfig=lambda: host_more.dns(host),
        ipRouteConfig=lambda: host_more.route(host),
    )


def _network_name(tree: Tree, network_id: str) -> str:
    network = tree.world.networks.get(network_id)
    return "" if network is None else network.name


def container_properties(tree: Tree, kind: str, moid: str) -> Properties:
    """Folders, datacenters, compute resources, resource pools."""
    world = tree.world

    def name() -> str:
        group = world.groups.get(moid)
        if group is not None:
            return escaped(group.name)
        if moid == tree.root.id:
            return "Datacenters" if tree.vcenter else "ha-folder-root"
        for prefix, called in (
            ("group-v-", "vm"),
            ("group-h-", "host"),
            ("group-s-", "datastore"),
            ("group-n-", "network"),
        ):
            if moid.startswith(prefix):
                return called
        if moid.startswith(POOL):
            return "Resources"
        host = world.hosts.get(moid.removeprefix("domain-s-"))
        return escaped(host.name) if host is not None else "ha-datacenter"

    def refs(of: Any) -> Array:
        return array("ManagedObjectReference", of)

    common: Properties = {"name": name, "parent": lambda: tree.parent(moid)}
    if kind == "Folder":
        content = next(
            (what for prefix, what in _CONTENTS.items() if moid.startswith(prefix)),
            "Datacenter" if moid == tree.root.id else "VirtualMachine",
        )
        if moid in world.groups:
            content = _CONTENTS.get(str(world.groups[moid].extra.get("place", "group-v-")), "Datacenter")
        common["childType"] = lambda: array("string", ("Folder", content))
        common["childEntity"] = lambda: refs(
            one for one in tree.entities() if (above := tree.parent(one.id)) is not None and above.id == moid
        )
    elif kind == "Datacenter":
        for prop, prefix in (
            ("vmFolder", "group-v-"),
            ("hostFolder", "group-h-"),
            ("datastoreFolder", "group-s-"),
            ("networkFolder", "group-n-"),
        ):
            common[prop] = lambda prefix=prefix: Ref("Folder", prefix + moid)  # type: ignore[misc]
        common["datastore"] = lambda: refs(Ref("Datastore", one.id) for one in tree.storages())
        common["network"] = lambda: refs(tree.network_ref(one.id) for one in tree.networks())
        common["configuration"] = lambda: Data("DatacenterConfigInfo", defaultHardwareVersionKey="vmx-19")
    elif kind in ("ComputeResource", "ClusterComputeResource"):
        common["resourcePool"] = lambda: Ref("ResourcePool", POOL + moid)
        common["host"] = lambda: refs(Ref("HostSystem", host.id) for host in tree.compute_hosts(moid))
        hosts = tree.compute_hosts(moid)
        cluster = kind == "ClusterComputeResource"
        common["summary"] = lambda: resources.compute_summary(tree, moid, hosts, cluster=cluster)
        common["configurationEx"] = lambda: Data("ComputeResourceConfigInfo", vmSwapPlacement="vmDirectory")
        if cluster:
            common.update(resources.cluster_properties(hosts))
        common["environmentBrowser"] = lambda: Ref("EnvironmentBrowser", "envbrowser-" + moid)
        common["datastore"] = lambda: refs(Ref("Datastore", one.id) for one in tree.storages())
        common["network"] = lambda: refs(tree.network_ref(one.id) for one in tree.networks())
    elif kind == "ResourcePool":
        common["owner"] = lambda: tree.ref(tree.compute_of_pool(moid))
        common["resourcePool"] = lambda: refs(
            Ref("ResourcePool", group.id)
            for group in tree.groups("resource pool")
            if (above := tree.parent(group.id)) is not None and above.id == moid
        )
        common["vm"] = lambda: refs(Ref("VirtualMachine", vm.id) for vm in tree.vms() if tree.pool_of(vm) == moid)

        def facts(field: str) -> Any:
            return resources.pool_properties(
                tree,
                moid,
                name(),
                [vm for vm in tree.vms() if tree.pool_of(vm) == moid],
                tree.compute_hosts(tree.compute_of_pool(moid)),
            )[field]()

        for field in ("config", "runtime", "summary", "childConfiguration"):
            common[field] = lambda field=field: facts(field)  # type: ignore[misc]
    return common


def network_properties(tree: Tree, moid: str) -> Properties:
    """A network of any kind."""
    network = tree.world.networks[moid]
    opaque = {}
    if "opaque_id" in network.extra:
        opaque = {"opaqueNetworkId": network.extra["opaque_id"], "opaqueNetworkType": "nsx.LogicalSwitch"}
    config = Data(
        "DVPortgroupConfigInfo",
        key=moid,
        name=escaped(network.name),
        distributedVirtualSwitch=Ref(DISTRIBUTED_SWITCH, tree.switch_id),
    )
    group = {"key": lambda: moid, "config": lambda: config} if network.extra.get("kind", "").startswith("Dist") else {}
    return {
        **group,
        "name": lambda: escaped(network.name),
        "parent": lambda: tree.parent(moid),
        "host": lambda: array(
            "ManagedObjectReference",
            (Ref("HostSystem", host.id) for host in tree.hosts() if network in _networks_of(tree, host)),
        ),
        "vm": lambda: array(
            "ManagedObjectReference",
            (Ref("VirtualMachine", vm.id) for vm in tree.vms() if any(nic.network_id == moid for nic in vm.nics)),
        ),
        "tag": lambda: array("Tag", (Data("Tag", key=key) for key in network.extra.get("tags", ()))),
        "summary": lambda: Data(
            "OpaqueNetworkSummary" if opaque else "NetworkSummary",
            network=tree.network_ref(moid),
            name=escaped(network.name),
            accessible=True,
            ipPoolName="",
            **opaque,
        ),
    }


def switch_properties(tree: Tree) -> Properties:
    """The distributed switch."""
    return {"name": lambda: "DSwitch", "uuid": lambda: tree.switch_uuid}


def store_properties(tree: Tree, storage: Storage) -> Properties:
    """A datastore."""
    world = tree.world
    url = host_more.url(storage)

    def users() -> Array:
        found = []
        for vm in tree.vms():
            if any(
                drive.disk_id in world.disks and world.disks[drive.disk_id].storage_id == storage.id
                for drive in vm.drives
            ):
                found.append(Ref("VirtualMachine", vm.id))
        return array("ManagedObjectReference", found)

    return {
        "name": lambda: escaped(storage.name),
        "parent": lambda: Ref("Folder", STORE_FOLDER + tree.datacenter_id()),
        "summary": lambda: Data(
            "DatastoreSummary",
            datastore=Ref("Datastore", storage.id),
            name=storage.name,
            url=url,
            capacity=long(storage.size_bytes),
            freeSpace=long(max(0, storage.size_bytes - storage.used_bytes)),
            accessible=True,
            multipleHostAccess=storage.shared,
            type=host_more.STANDARD.get(storage.kind, "VMFS"),
            maintenanceMode="normal",
        ),
        "host": lambda: array(
            "DatastoreHostMount",
            (
                Data("DatastoreHostMount", key=Ref("HostSystem", host_id), mountInfo=host_more.mount(storage))
                for host_id in storage.host_ids
            ),
        ),
        "vm": users,
        "browser": lambda: Ref("HostDatastoreBrowser", f"datastoreBrowser-{storage.id}"),
        "capability": lambda: host_more.store_capability(storage),
        "info": lambda: host_more.store_info(storage),
    }


def task_properties(tree: Tree, task: Task) -> Properties:
    """A task: everything under ``info``."""
    return {"info": lambda: task_info(tree, task)}


def task_info(tree: Tree, task: Task) -> Data:
    """``TaskInfo``."""
    entity = str(task.extra.get("entity") or task.target_id)
    subject = tree.ref(entity) if tree.kind(entity) else None
    final = task.status is not TaskStatus.PENDING
    result = task.extra.get("result")
    made = task.result if isinstance(task.result, str) and task.status is TaskStatus.SUCCESS else None
    name = ""
    if subject is not None:
        thing: Any = tree.world.vms.get(entity) or tree.world.hosts.get(entity)
        name = escaped(thing.name) if thing is not None else entity
    return Data(
        "TaskInfo",
        key=task.id,
        task=Ref("Task", task.id),
        name=str(task.extra.get("method", task.name)),
        descriptionId=str(task.extra.get("description_id", task.name)),
        entity=subject,
        entityName=name,
        state=Word("TaskInfoState", _STATES[task.status]),
        cancelled=task.cancel_requested,
        cancelable=task.cancellable and not final,
        error=translate(task.error).localized() if task.error is not None else None,
        result=Typed(task.extra["answer"])
        if "answer" in task.extra and final
        else (Typed(Ref(str(result), made)) if result and made else None),
        progress=None if final else int(task.progress * 100),
        reason=Data("TaskReasonUser", userName=tree.site.user),
        queueTime=when(task.created),
        startTime=when(task.created),
        completeTime=when(task.finished) if final else None,
        eventChainId=1,
    )
