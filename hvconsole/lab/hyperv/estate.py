"""The two Hyper-V hosts of the default estate, and a scaled one: a branch office in Zurich, one host in German.

Runs once while a world is built; what it makes is the same in every run.
"""

from __future__ import annotations

import ipaddress

from hvconsole.lab.builder import SiteBuilder, guest
from hvconsole.lab.objects import GIB, Host, Network, Power, Site, Storage, Vm
from hvconsole.lab.world import World

TIB = 1024 * GIB
GERMAN = {
    "Virtual Machine": "Virtueller Computer",
    "Hosting Computer System": "Hostcomputersystem",
    "Microsoft Virtual Machine": "Virtueller Microsoft-Computer",
    "Operating normally": "Normaler Betrieb",
    "Microsoft Hosting Computer System": "Microsoft-Hostcomputersystem",
    "Heartbeat": "Takt",
    "Virtual Machine Settings": "Einstellungen für virtuelle Computer",
    "Shutdown": "Herunterfahren",
}


def build(world: World) -> None:
    """Add the hosts HV-ZRH-1 (English, Server 2022) and HV-ZRH-2 (German, Server 2019)."""
    first, make = _site(
        world,
        "HV-ZRH-1",
        "10.40.0.11",
        "Microsoft Windows Server 2022 Datacenter",
        "10.0.20348",
        "lab-hyperv-1",
        "10.40.0.0/17",
    )
    _fill_first(make, *first)
    second, make = _site(
        world,
        "HV-ZRH-2",
        "10.40.128.12",
        "Microsoft Windows Server 2019 Standard",
        "10.0.17763",
        "lab-hyperv-2",
        "10.40.128.0/17",
    )
    make.site.extra.update(words=GERMAN, language=1031, locale="0407", culture="de-DE", fault_form="wmi")
    _fill_second(make, *second)


def _site(
    world: World, name: str, address: str, product: str, version: str, password: str, subnet: str
) -> tuple[tuple[Host, Storage, Network, Network], SiteBuilder]:
    site = Site(
        id=world.new_id(),
        kind="hyperv",
        name=name,
        product=product,
        version=version,
        user="Administrator",
        password=password,
    )
    world.add(site)
    make = SiteBuilder(world, site, ipaddress.IPv4Network(subnet), ipaddress.IPv6Network("fd20:40::/64"))
    host = make.host(name, address, booted_days_ago=41, memory_bytes=256 * GIB)
    system = make.storage("System", "ntfs", (host,), size_bytes=480 * GIB, used_bytes=120 * GIB)
    system.extra["letter"] = "C:"
    data = make.storage("VMs", "refs", (host,), size_bytes=8 * TIB, used_bytes=TIB, default=True)
    data.extra["letter"] = "D:"
    external = make.network(
        "Zurich LAN", "", description="External, trunk to core", hosts=(host,), device="Ethernet 1", management=True
    )
    private = make.network("Cluster", "", description="Private, no uplink")
    return (host, data, external, private), make


def _fill_first(make: SiteBuilder, host: Host, data: Storage, lan: Network, private: Network) -> None:
    iso = make.iso(data, "debian-12.5.0-amd64-netinst.iso", 658_505_728)
    web = make.vm(
        "zrh-web01",
        guest=guest("debian12", "zrh-web01"),
        storage=data,
        networks=(lan,),
        host=host,
        home=host,
        description="Intranet",
        ipv6=True,
    )
    before = make.snapshot(web, "before upgrade", days_ago=9)
    make.snapshot(web, "after upgrade", days_ago=8.9, parent=before)
    make.vm(
        "zrh-sql01",
        guest=guest("win2022", "ZRH-SQL01"),
        storage=data,
        networks=(lan, private),
        host=host,
        home=host,
        vcpus=8,
        memory_bytes=32 * GIB,
        disks=(80 * GIB, 400 * GIB),
    )
    make.vm("zrh-dc01", guest=guest("win2019", "ZRH-DC01"), storage=data, networks=(lan,), host=host, home=host)
    make.vm(
        "zrh-file01",
        guest=guest("win2022", "ZRH-FILE01"),
        storage=data,
        networks=(lan,),
        host=host,
        home=host,
        disks=(60 * GIB, 2 * TIB),
    )
    firewall = make.vm(
        "zrh-fw",
        guest=guest("freebsd", "zrh-fw", tools=False),
        storage=data,
        networks=(lan, private),
        host=host,
        home=host,
        vcpus=1,
        memory_bytes=GIB,
        disks=(8 * GIB,),
        description="No integration services",
    )
    firewall.extra["generation"] = 1
    make.vm(
        "zrh-build",
        guest=guest("ubuntu", "zrh-build"),
        storage=data,
        networks=(lan,),
        host=host,
        home=host,
        power=Power.SUSPENDED,
        vcpus=4,
    )
    make.vm("zrh-test01", guest=guest("rocky", "zrh-test01"), storage=data, networks=(lan,), home=host)
    make.vm(
        "zrh-test02",
        guest=guest("none"),
        storage=data,
        networks=(lan,),
        home=host,
        cd=iso,
        description="Being installed",
    )
    paused = make.vm(
        "zrh-legacy",
        guest=guest("win2019", "ZRH-LEGACY"),
        storage=data,
        networks=(lan,),
        host=host,
        home=host,
        power=Power.PAUSED,
    )
    paused.extra.update(generation=1, snapshot_type=5)


def _fill_second(make: SiteBuilder, host: Host, data: Storage, lan: Network, private: Network) -> None:
    app = make.vm(
        "zrh-app01", guest=guest("debian12", "zrh-app01"), storage=data, networks=(lan,), host=host, home=host
    )
    make.snapshot(app, "Stand vor Umbau äöü", days_ago=30, memory=True)
    make.vm("zrh-app02", guest=guest("debian11", "zrh-app02"), storage=data, networks=(lan,), host=host, home=host)
    make.vm("zrh-print", guest=guest("win2019", "ZRH-PRINT"), storage=data, networks=(lan,), host=host, home=host)
    make.vm(
        "zrh-ldap",
        guest=guest("sles", "zrh-ldap"),
        storage=data,
        networks=(lan, private),
        host=host,
        home=host,
        ipv6=True,
    )
    make.vm("zrh-archiv", guest=guest("win2019", "ZRH-ARCHIV"), storage=data, networks=(lan,), home=host)


def build_scaled(world: World, n_vms: int, *, snapshots_every: int = 4) -> Site:
    """A host with ``n_vms`` VMs, four of five running, every ``snapshots_every``-th with a checkpoint."""
    (host, data, lan, _private), make = _site(
        world,
        "HV-BIG",
        "10.41.0.11",
        "Microsoft Windows Server 2022 Datacenter",
        "10.0.20348",
        "lab-hyperv-big",
        "10.41.0.0/16",
    )
    host.memory_bytes = 64 * TIB
    data.size_bytes = n_vms * 64 * GIB + TIB
    data.used_bytes = 0
    for number in range(n_vms):
        running = number % 5 != 4
        vm: Vm = make.vm(
            f"vm{number:05}",
            guest=guest("debian12", f"vm{number:05}"),
            storage=data,
            networks=(lan,),
            host=host if running else None,
            home=host,
        )
        if number % snapshots_every == 0:
            make.snapshot(vm, "nightly", days_ago=1)
    return make.site
