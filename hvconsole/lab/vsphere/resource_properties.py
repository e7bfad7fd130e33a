"""What clusters, resource pools and datacenters have to give out. The caller holds ``world.lock``."""

from __future__ import annotations

from collections.abc import Iterable

from hvconsole.lab import power
from hvconsole.lab.objects import Host, HostState, Power, Vm
from hvconsole.lab.vsphere.defaults import GREEN
from hvconsole.lab.vsphere.tree import Tree
from hvconsole.lab.vsphere.values import Data, Ref, Word, array, long, short
from hvconsole.lab.vsphere.vm_properties import MIB, Properties, allocation, escaped


def compute_summary(tree: Tree, moid: str, hosts: list[Host], *, cluster: bool) -> Data:
    """``ComputeResourceSummary``, of a cluster ``ClusterComputeResourceSummary``."""
    up = [host for host in hosts if host.state is HostState.UP and not host.maintenance]
    more = (
        {"currentFailoverLevel": max(0, len(up) - 1), "numVmotions": 0, "targetBalance": 0, "currentBalance": 0}
        if cluster
        else {}
    )
    return Data(
        "ClusterComputeResourceSummary" if cluster else "ComputeResourceSummary",
        totalCpu=sum(host.cores * host.cpu_mhz for host in hosts),
        totalMemory=long(sum(host.memory_bytes for host in hosts)),
        numCpuCores=short(sum(host.cores for host in hosts)),
        numCpuThreads=short(sum(host.cpus for host in hosts)),
        effectiveCpu=sum(host.cores * host.cpu_mhz for host in up),
        effectiveMemory=long(sum(host.memory_bytes for host in up) // MIB),
        numHosts=len(hosts),
        numEffectiveHosts=len(up),
        overallStatus=GREEN,
        **more,
    )


def cluster_properties(hosts: list[Host]) -> Properties:
    """What a cluster has and a lonely host has not."""

    def ha() -> Data:
        return Data(
            "ClusterDasConfigInfo",
            enabled=False,
            vmMonitoring="vmMonitoringDisabled",
            hostMonitoring="enabled",
            failoverLevel=1,
            admissionControlEnabled=True,
        )

    def drs() -> Data:
        return Data(
            "ClusterDrsConfigInfo",
            enabled=len(hosts) > 1,
            enableVmBehaviorOverrides=True,
            defaultVmBehavior=Word("DrsBehavior", "manual"),
            vmotionRate=3,
        )

    return {
        "configuration": lambda: Data("ClusterConfigInfo", dasConfig=ha, drsConfig=drs),
        "configurationEx": lambda: Data(
            "ClusterConfigInfoEx",
            vmSwapPlacement="vmDirectory",
            spbmEnabled=False,
            dasConfig=ha,
            drsConfig=drs,
            dpmConfigInfo=Data("ClusterDpmConfigInfo", enabled=False),
            vsanConfigInfo=Data("VsanClusterConfigInfo", enabled=False),
        ),
        "summaryEx": lambda: None,
        "actionHistory": lambda: array("ClusterActionHistory", ()),
        "drsFault": lambda: array("ClusterDrsFaults", ()),
        "drsRecommendation": lambda: array("ClusterDrsRecommendation", ()),
        "migrationHistory": lambda: array("ClusterDrsMigration", ()),
        "recommendation": lambda: array("ClusterRecommendation", ()),
    }


def pool_properties(tree: Tree, moid: str, name: str, vms: Iterable[Vm], hosts: list[Host]) -> Properties:
    """Configuration, use and summary of a resource pool."""
    own = list(vms)
    capacity = sum(power.memory_free(tree.world, host) for host in hosts)
    speed = sum(host.cores * host.cpu_mhz for host in hosts)

    def config() -> Data:
        return Data(
            "ResourceConfigSpec",
            entity=Ref("ResourcePool", moid),
            cpuAllocation=allocation(4000, expandable=True),
            memoryAllocation=allocation(163_840, expandable=True),
        )

    def runtime() -> Data:
        running = [vm for vm in own if vm.power is Power.RUNNING]
        return Data(
            "ResourcePoolRuntimeInfo",
            memory=_usage(capacity, sum(vm.memory_bytes // 2 for vm in running)),
            cpu=_usage(speed, sum(120 * vm.vcpus for vm in running)),
            overallStatus=GREEN,
        )

    return {
        "config": config,
        "runtime": runtime,
        "childConfiguration": lambda: array("ResourceConfigSpec", ()),
        "summary": lambda: Data(
            "ResourcePoolSummary",
            name=escaped(name),
            config=config,
            runtime=runtime,
            configuredMemoryMB=sum(vm.memory_bytes for vm in own) // MIB,
        ),
    }


def _usage(most: int, now: int) -> Data:
    return Data(
        "ResourcePoolResourceUsage",
        reservationUsed=long(0),
        reservationUsedForVm=long(0),
        unreservedForPool=long(most),
        unreservedForVm=long(most),
        overallUsage=long(now),
        maxUsage=long(most),
    )
