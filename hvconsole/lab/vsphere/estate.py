"""The default vSphere estate: a vCenter with a cluster, folders and resource pools, and a single ESXi host.

Runs once while a world is built; what it makes is the same in every run (ids included).
"""

from __future__ import annotations

import ipaddress

from hvconsole.lab.builder import SiteBuilder, guest
from hvconsole.lab.objects import GIB, Group, Host, Network, Power, Site, Storage, Vm
from hvconsole.lab.world import World

TIB = 1024 * GIB
RELEASES = {
    "6.5": ("6.5.0", "6.5", "5969303"),
    "7.0": ("7.0.3", "7.0.3.0", "20051473"),
    "8.0": ("8.0.2", "8.0.2.0", "22617221"),
}
"""Release → (version, API version, build)."""


def build(world: World) -> None:
    """Add the vCenter "Meridian" and the ESXi host "esx-branch"."""
    build_vcenter(world)
    build_esxi(world)


def _site(world: World, name: str, flavour: str, release: str, user: str, password: str, description: str) -> Site:
    version, api, number = RELEASES[release]
    product = "VMware vCenter Server" if flavour == "vcenter" else "VMware ESXi"
    site = Site(
        id=world.new_id(),
        kind="vsphere",
        flavour=flavour,
        name=name,
        description=description,
        product=product,
        version=version,
        user=user,
        password=password,
    )
    site.extra.update(release=release, api=api, build=number)
    world.add(site)
    return site


def _group(make: SiteBuilder, kind: str, name: str, parent: Group | None = None) -> Group:
    group = Group(
        id=make.world.new_id(),
        site_id=make.site.id,
        kind=kind,
        name=name,
        parent_id=parent.id if parent is not None else None,
    )
    make.world.add(group)
    return group


def build_vcenter(world: World, release: str = "8.0") -> Site:
    """Add the vCenter; returns its site."""
    site = _site(
        world, "Meridian vCenter", "vcenter", release, "administrator@vsphere.local", "lab-vc-7", "vCenter, Zurich"
    )
    make = SiteBuilder(
        world, site, ipaddress.IPv4Network("10.21.0.0/16"), ipaddress.IPv6Network("fd20:21::/64"), next_host=256
    )
    datacenter = _group(make, "datacenter", "Zurich")
    cluster = _group(make, "cluster", "Cluster North", datacenter)
    hosts = tuple(
        make.host(
            f"esx-zh-{number + 1}.lab",
            f"10.21.0.{11 + number}",
            booted_days_ago=days,
            memory_bytes=384 * GIB,
            group_id=cluster.id,
        )
        for number, days in enumerate((120.4, 120.3, 41.0))
    )
    edge = make.host("esx-edge.lab", "10.21.0.21", booted_days_ago=9.5, memory_bytes=128 * GIB)
    everyone = (*hosts, edge)
    net = {
        "lan": make.network("VM Network", hosts=everyone, device="vmnic0", management=True),
        "dmz": make.network("DMZ", vlan=30, hosts=everyone, device="vmnic0"),
        "backup": make.network("Backup", vlan=77, hosts=hosts, device="vmnic1"),
    }
    sto = {
        "san": make.storage("san-01", "vmfs", everyone, size_bytes=40 * TIB, used_bytes=4 * TIB, default=True),
        "nfs": make.storage("nfs-archive", "nfs", everyone, size_bytes=60 * TIB, used_bytes=9 * TIB),
        "iso": make.storage("iso-library", "iso", everyone, size_bytes=TIB, used_bytes=80 * GIB, holds_iso=True),
        "local": make.storage("esx-edge-local", "vmfs", (edge,), size_bytes=2 * TIB, used_bytes=200 * GIB),
    }
    make.iso(sto["iso"], "debian-12.5.0-amd64-netinst.iso", 658_505_728)
    make.iso(sto["iso"], "windows_server_2022.iso", 5_044_094_976)
    folders = {name: _group(make, "folder", name, datacenter) for name in ("Production", "Test", "Templates")}
    folders["Databases"] = _group(make, "folder", "Databases", folders["Production"])
    pools = {name: _group(make, "resource pool", name, cluster) for name in ("Gold", "Bronze")}
    _fill_vcenter(make, hosts, edge, net, sto, folders, pools)
    return site


_VMS = (
    # name, guest, host (3 = edge), vcpus, GiB, disks in GiB, folder, pool, tags, days up, tools
    ("shop-01", "debian12", 0, 4, 8, (40,), "Production", "Gold", "web", 40.2, True),
    ("shop-02", "debian12", 1, 4, 8, (40,), "Production", "Gold", "web", 40.1, True),
    ("cache-01", "ubuntu", 2, 2, 16, (30,), "Production", "Gold", "web", 40.9, True),
    ("orders-db", "rocky", 0, 8, 64, (60, 900), "Databases", "Gold", "database", 118.0, True),
    ("stock-db", "rocky", 1, 8, 32, (60, 400), "Databases", "Gold", "database", 118.2, True),
    ("crm-app", "win2022", 2, 8, 24, (100,), "Production", "", "windows", 21.7, True),
    ("crm-db", "win2022", 2, 8, 48, (100, 600), "Databases", "Gold", "windows database", 21.7, True),
    ("ad-01", "win2019", 0, 2, 8, (80,), "Production", "", "windows", 33.0, True),
    ("ad-02", "win2022", 1, 2, 8, (80,), "Production", "", "windows", 32.8, True),
    ("queue-01", "sles", 2, 4, 8, (40,), "Production", "", "", 60.0, True),
    ("build-agent", "ubuntu", 1, 8, 16, (120,), "Test", "Bronze", "ci", 3.3, True),
    ("test-shop", "debian12", 2, 2, 4, (40,), "Test", "Bronze", "web test", 2.1, True),
    ("scanner-gw", "none", 0, 1, 1, (8,), "Production", "", "facility", 119.0, False),
    ("badge-reader", "debian11", 1, 1, 1, (16,), "Production", "", "facility", 119.0, False),
    ("edge-proxy", "debian12", 3, 2, 2, (20,), "", "", "dmz", 9.4, True),
    ("edge-dns", "freebsd", 3, 1, 1, (12,), "", "", "dmz", 9.4, True),
)


def _fill_vcenter(
    make: SiteBuilder,
    hosts: tuple[Host, ...],
    edge: Host,
    net: dict[str, Network],
    sto: dict[str, Storage],
    folders: dict[str, Group],
    pools: dict[str, Group],
) -> None:
    machines = (*hosts, edge)
    made: dict[str, Vm] = {}
    for name, kind, host, vcpus, memory, disks, folder, pool, tags, days, tools in _VMS:
        cards = [net["dmz"] if "dmz" in tags else net["lan"]]
        if "database" in tags:
            cards.append(net["backup"])
        vm = made[name] = make.vm(
            name,
            guest=guest(kind, name, tools=tools),
            storage=sto["local" if host == 3 else "san"],
            networks=tuple(cards),
            host=machines[host],
            home=machines[host],
            vcpus=vcpus,
            memory_bytes=memory * GIB,
            disks=tuple(size * GIB for size in disks),
            tags=tuple(tags.split()),
            up_days=days,
            ipv6="web" in tags,
        )
        vm.folder_id = folders[folder].id if folder else None
        vm.resource_pool_id = pools[pool].id if pool else None
    made["scanner-gw"].description = "Appliance of the vendor, no VMware Tools"
    old = make.vm(
        "shop-old",
        guest=guest("debian11", "shop-old"),
        storage=sto["nfs"],
        networks=(net["lan"],),
        home=hosts[0],
        description="Replaced by shop-01 and shop-02",
    )
    stage = make.vm(
        "shop-staging",
        guest=guest("debian12", "shop-staging"),
        storage=sto["san"],
        networks=(net["lan"],),
        host=hosts[1],
        home=hosts[1],
        power=Power.SUSPENDED,
        description="Suspended over the weekend",
    )
    lab = make.vm(
        "sandbox-zh",
        guest=guest("ubuntu", "sandbox-zh"),
        storage=sto["san"],
        networks=(net["lan"],),
        home=hosts[2],
        disks=(20 * GIB,),
        description="For tries",
    )
    for vm, folder in ((old, "Test"), (stage, "Test"), (lab, "Test")):
        vm.folder_id = folders[folder].id
    golden = make.vm(
        "tmpl-debian-12",
        guest=guest("debian12", "tmpl-debian-12"),
        storage=sto["nfs"],
        networks=(net["lan"],),
        home=hosts[0],
        disks=(20 * GIB,),
        memory_bytes=2 * GIB,
        description="Patched monthly; deploy from me",
        addresses=(),
    )
    golden.is_template = True
    golden.folder_id = folders["Templates"].id
    first = make.snapshot(made["orders-db"], "before 8.1 upgrade", days_ago=33, description="Dump is on nfs-archive")
    second = make.snapshot(made["orders-db"], "after 8.1 upgrade", days_ago=32.8, parent=first)
    make.snapshot(made["orders-db"], "index trial, dropped", days_ago=20, parent=second, current=False)
    make.snapshot(made["orders-db"], "monthly", days_ago=2, parent=second, memory=True)
    make.snapshot(old, "last good state", days_ago=200)


def build_esxi(world: World, release: str = "7.0") -> Site:
    """Add the single ESXi host; returns its site."""
    site = _site(world, "esx-branch", "esxi", release, "root", "lab-esx-7", "ESXi host of the branch office")
    site.extra["licence"] = "VMware vSphere 7 Hypervisor"
    make = SiteBuilder(
        world, site, ipaddress.IPv4Network("10.22.0.0/16"), ipaddress.IPv6Network("fd20:22::/64"), next_host=256
    )
    host = make.host("esx-branch.lab", "10.22.0.11", booted_days_ago=203.5, memory_bytes=64 * GIB)
    lan = make.network("VM Network", hosts=(host,), device="vmnic0", management=True)
    store = make.storage("datastore1", "vmfs", (host,), size_bytes=4 * TIB, used_bytes=600 * GIB, default=True)
    for name, kind, days, tools in (
        ("till-server", "win2019", 88.0, True),
        ("branch-files", "debian12", 203.4, True),
        ("camera-nvr", "debian11", 203.4, False),
    ):
        make.vm(
            name,
            guest=guest(kind, name, tools=tools),
            storage=store,
            networks=(lan,),
            host=host,
            home=host,
            up_days=days,
            memory_bytes=4 * GIB,
            disks=(60 * GIB,),
        )
    make.vm(
        "branch-spare",
        guest=guest("debian12", "branch-spare"),
        storage=store,
        networks=(lan,),
        home=host,
        disks=(20 * GIB,),
        memory_bytes=2 * GIB,
        description="Cold spare of branch-files",
    )
    files = world.vm_named("branch-files", site.id)
    make.snapshot(files, "before Debian 12", days_ago=90)
    return site


def build_scaled(world: World, n_vms: int) -> Site:
    """Add a vCenter "Scale" with ``n_vms`` VMs: one disk and one card each, every tenth off."""
    site = _site(world, "Scale vCenter", "vcenter", "8.0", "administrator@vsphere.local", "lab-vc-7", "")
    make = SiteBuilder(
        world, site, ipaddress.IPv4Network("10.48.0.0/12"), ipaddress.IPv6Network("fd48::/64"), next_host=1024
    )
    datacenter = _group(make, "datacenter", "Scale")
    cluster = _group(make, "cluster", "Cluster", datacenter)
    hosts = tuple(
        make.host(f"esx-{number + 1:02}", f"10.48.0.{number + 11}", memory_bytes=4 * TIB, group_id=cluster.id)
        for number in range(max(1, min(64, (n_vms + 249) // 250)))
    )
    lan = make.network("VM Network", hosts=hosts, device="vmnic0", management=True)
    store = make.storage("san", "vmfs", hosts, size_bytes=n_vms * 64 * GIB + TIB, default=True)
    for number in range(n_vms):
        host = hosts[number % len(hosts)]
        name = f"vm-{number:05}"
        make.vm(
            name,
            guest=guest(("debian12", "ubuntu", "rocky", "win2022")[number % 4], name),
            storage=store,
            networks=(lan,),
            home=host,
            host=None if number % 10 == 9 else host,
            memory_bytes=2 * GIB,
        )
    return site
