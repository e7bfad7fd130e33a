"""The default XenServer pool of the lab: three hosts, about forty VMs of a small company, and a scaled variant.

Runs once while a world is built; what it makes is the same in every run (ids included).
"""

from __future__ import annotations

import ipaddress

from hvconsole.lab.builder import SiteBuilder, guest
from hvconsole.lab.objects import GIB, Drive, Host, Network, Power, Site, Storage
from hvconsole.lab.world import World

TIB = 1024 * GIB

HOSTILE_NAMES = (
    "[exec touch /tmp/owned]",
    "$env(PATH) {unbalanced \\",
    '<b>bold & "quoted"</b> ]]>',
    "Robert'); DROP TABLE Students;--",
    "\u202egnp.exe.txt\u202c",
    "=cmd|' /C calc'!A0",
    "line\nbreak\ttab",
    "zero\u200bwidth\ufeff",
    "\U0001f5a5\ufe0f \u0e01\u0e33\u0e41\u0e1e\u0e07 \u0645\u0631\u062d\u0628\u0627",
    "n" * 4_000,
    "  ",
    "../../etc/passwd",
)
"""Names that a careless client trips over (``add_hostile_vms``). All can be written in XML."""


def build(world: World) -> None:
    """Add the pool "Aurora" to ``world``."""
    site = Site(
        id=world.new_id(),
        kind="xenserver",
        name="Aurora",
        description="Production pool, Basel",
        product="XCP-ng",
        version="8.3.0",
        user="root",
        password="lab-xen-7",
    )
    world.add(site)
    make = SiteBuilder(
        world, site, ipaddress.IPv4Network("10.20.0.0/16"), ipaddress.IPv6Network("fd20:20::/64"), next_host=256
    )
    hosts = tuple(
        make.host(name, f"10.20.0.{11 + number}", booted_days_ago=days, memory_bytes=memory)
        for number, (name, days, memory) in enumerate(
            (("xen-basel-1", 87.2, 192 * GIB), ("xen-basel-2", 87.1, 192 * GIB), ("xen-basel-3", 12.6, 128 * GIB))
        )
    )
    site.master_id = hosts[0].id
    _fill(make, hosts, _networks(make, hosts), _storages(make, hosts))


def _networks(make: SiteBuilder, hosts: tuple[Host, ...]) -> dict[str, Network]:
    return {
        "lan": make.network(
            "Production LAN", "xenbr0", description="Servers, untagged", hosts=hosts, device="eth0", management=True
        ),
        "storage": make.network(
            "Storage", "xenbr1", description="NFS and iSCSI, no gateway", hosts=hosts, device="eth1"
        ),
        "dmz": make.network(
            "DMZ (VLAN 30)", "xapi1", description="Behind the outer firewall", vlan=30, hosts=hosts, device="eth0"
        ),
        "lab": make.network("Test, internal", "xapi2", description="No physical card"),
    }


def _storages(make: SiteBuilder, hosts: tuple[Host, ...]) -> dict[str, Storage]:
    storages = {
        "nfs": make.storage(
            "Basel NFS",
            "nfs",
            hosts,
            size_bytes=24 * TIB,
            used_bytes=3 * TIB,
            description="filer-1:/vol/xen",
            default=True,
        ),
        "san": make.storage("Basel SAN", "lvmoiscsi", hosts, size_bytes=12 * TIB, used_bytes=2 * TIB),
        "iso": make.storage(
            "ISO library",
            "iso",
            hosts,
            size_bytes=500 * GIB,
            used_bytes=61 * GIB,
            holds_iso=True,
            description="filer-1:/vol/iso",
        ),
    }
    for number, host in enumerate(hosts):
        storages[f"local{number}"] = make.storage(
            f"Local storage on {host.name}", "ext", (host,), size_bytes=900 * GIB, used_bytes=40 * GIB
        )
    return storages


def _fill(make: SiteBuilder, hosts: tuple[Host, ...], net: dict[str, Network], sto: dict[str, Storage]) -> None:
    for host in hosts:
        make.control_domain(host)
    debian_iso = make.iso(sto["iso"], "debian-12.5.0-amd64-netinst.iso", 658_505_728)
    make.iso(sto["iso"], "Rocky-9.3-x86_64-dvd.iso", 10_505_682_944)
    make.iso(sto["iso"], "windows_server_2022.iso", 5_044_094_976)
    make.iso(sto["iso"], "XCP-ng-tools.iso", 76_087_296)
    _production(make, hosts, net, sto)
    _odd_ones(make, hosts, net, sto)
    for name, kind, memory in (
        ("Debian Bookworm 12", "debian12", 2),
        ("Ubuntu Jammy Jellyfish 22.04", "ubuntu", 2),
        ("Rocky Linux 9", "rocky", 2),
        ("Windows Server 2022 (64-bit)", "win2022", 4),
        ("Other install media", "none", 1),
    ):
        make.template(
            name,
            guest=guest(kind, tools=False),
            memory_bytes=memory * GIB,
            description="Template to install a new VM from CD or network",
        )
    golden = make.vm(
        "Golden Debian 12",
        guest=guest("debian12", "golden"),
        storage=sto["nfs"],
        networks=(net["lan"],),
        description="Patched monthly; clone me",
        tags=("golden",),
        cd=debian_iso,
        addresses=(),
    )
    golden.is_template = True


_PRODUCTION = (
    # name, guest, host, vcpus, GiB, disk sizes in GiB, tags, description, days up, IPv6
    ("web-01", "debian12", 0, 2, 4, (40,), "web production", "Front end, nginx", 41.3, True),
    ("web-02", "debian12", 1, 2, 4, (40,), "web production", "Front end, nginx", 41.2, True),
    ("web-03", "debian12", 2, 2, 4, (40,), "web production", "Front end, nginx", 12.5, True),
    ("lb-01", "debian12", 0, 2, 2, (20,), "web production", "HAProxy, active", 80.0, True),
    ("lb-02", "debian12", 1, 2, 2, (20,), "web production", "HAProxy, standby", 80.0, True),
    ("db-01", "rocky", 0, 8, 32, (60, 500), "database production", "PostgreSQL primary", 80.1, False),
    ("db-02", "rocky", 1, 8, 32, (60, 500), "database production", "PostgreSQL replica", 80.1, False),
    ("db-reporting", "rocky", 2, 4, 16, (60, 250), "database", "Nightly reports", 12.4, False),
    ("mail-01", "debian11", 0, 4, 8, (60, 300), "mail production", "Postfix and Dovecot", 80.0, True),
    ("mail-relay", "debian12", 1, 1, 1, (16,), "mail", "Outgoing relay in the DMZ", 33.0, True),
    ("dc-01", "win2019", 0, 2, 6, (80,), "windows production", "Domain controller", 25.2, False),
    ("dc-02", "win2022", 1, 2, 6, (80,), "windows production", "Domain controller", 24.9, False),
    ("file-01", "win2022", 1, 4, 12, (80, 900), "windows production", "File server", 24.8, False),
    ("print-01", "win2019", 2, 2, 4, (80,), "windows", "Print server", 12.2, False),
    ("erp-app", "win2022", 2, 8, 24, (100, 200), "windows erp production", "ERP application server", 12.1, False),
    ("erp-db", "sles", 0, 8, 48, (60, 800), "erp database production", "ERP database", 79.5, False),
    ("git-01", "ubuntu", 1, 4, 8, (40, 200), "development", "Forge and packages", 60.0, True),
    ("ci-runner-1", "ubuntu", 1, 8, 8, (120,), "development ci", "Build runner", 6.1, False),
    ("ci-runner-2", "ubuntu", 2, 8, 8, (120,), "development ci", "Build runner", 6.1, False),
    ("monitoring", "debian12", 0, 2, 4, (40, 100), "infrastructure", "Metrics and alerts", 79.0, True),
    ("logs", "debian12", 1, 4, 8, (40, 600), "infrastructure", "Log collection", 79.0, False),
    ("backup-proxy", "debian11", 2, 4, 4, (40,), "infrastructure backup", "Nightly backups", 12.0, False),
    ("dns-01", "freebsd", 0, 1, 1, (12,), "infrastructure", "Resolver", 86.9, True),
    ("dns-02", "freebsd", 1, 1, 1, (12,), "infrastructure", "Resolver", 86.9, True),
    ("vpn", "debian12", 1, 2, 2, (20,), "infrastructure dmz", "WireGuard", 51.0, True),
    ("wiki", "ubuntu", 2, 2, 4, (40,), "office", "Handbook", 12.3, False),
    ("chat", "ubuntu", 0, 2, 4, (40,), "office", "Team chat", 30.7, False),
    ("desk-anna", "win11", 2, 4, 8, (120,), "desktop", "Virtual desktop", 2.2, False),
)


def _production(make: SiteBuilder, hosts: tuple[Host, ...], net: dict[str, Network], sto: dict[str, Storage]) -> None:
    made = {}
    for name, kind, host, vcpus, memory, disks, tags, description, days, ipv6 in _PRODUCTION:
        networks = [net["dmz"] if "relay" in name or name == "vpn" else net["lan"]]
        if "database" in tags or name == "file-01":
            networks.append(net["storage"])
        made[name] = make.vm(
            name,
            guest=guest(kind, name),
            storage=sto["san" if "database" in tags else "nfs"],
            networks=tuple(networks),
            host=hosts[host],
            home=hosts[host],
            vcpus=vcpus,
            memory_bytes=memory * GIB,
            disks=tuple(size * GIB for size in disks),
            description=description,
            tags=tuple(tags.split()),
            up_days=days,
            ipv6=ipv6,
        )
    first = make.snapshot(made["db-01"], "before 15 -> 16 upgrade", days_ago=40, description="Dump is on backup-proxy")
    second = make.snapshot(made["db-01"], "after upgrade", days_ago=39.9, parent=first)
    make.snapshot(made["db-01"], "tuning, tried and dropped", days_ago=20, parent=second, current=False)
    make.snapshot(made["db-01"], "monthly", days_ago=3, parent=second, memory=True)
    base = make.snapshot(made["erp-app"], "release 11.4", days_ago=90)
    make.snapshot(made["erp-app"], "release 11.5", days_ago=31, parent=base)
    make.snapshot(made["web-01"], "clean install", days_ago=300)
    made["ci-runner-1"].home_host_id = None
    made["backup-proxy"].blocked["power_off"] = "A backup may be running: ask the backup team"
    made["backup-proxy"].blocked["shutdown"] = "A backup may be running: ask the backup team"
    made["desk-anna"].guest.ignores_shutdown = False


def _odd_ones(make: SiteBuilder, hosts: tuple[Host, ...], net: dict[str, Network], sto: dict[str, Storage]) -> None:
    lan = (net["lan"],)
    make.vm(
        "legacy-fax",
        guest=guest("none"),
        storage=sto["local0"],
        networks=lan,
        host=hosts[0],
        vcpus=1,
        memory_bytes=GIB // 2,
        disks=(8 * GIB,),
        description="Nobody dares to touch it; no guest tools",
        up_days=87,
    )
    make.vm(
        "door-control",
        guest=guest("debian11", tools=False),
        storage=sto["nfs"],
        networks=lan,
        host=hosts[1],
        vcpus=1,
        memory_bytes=GIB,
        disks=(16 * GIB,),
        description="Appliance of the vendor, no guest tools",
        tags=("facility",),
        up_days=87,
    )
    make.vm(
        "telephony",
        guest=guest("rocky", tools=False),
        storage=sto["nfs"],
        networks=lan,
        host=hosts[2],
        vcpus=2,
        memory_bytes=4 * GIB,
        description="Appliance of the vendor, no guest tools",
        tags=("facility",),
    )
    make.vm(
        "erp-test",
        guest=guest("win2022", "erp-test"),
        storage=sto["nfs"],
        networks=(net["lab"],),
        home=hosts[2],
        vcpus=4,
        memory_bytes=12 * GIB,
        disks=(100 * GIB, 200 * GIB),
        description="Copy of erp-app, on demand",
        tags=("erp", "test"),
    )
    make.vm(
        "web-staging",
        guest=guest("debian12", "web-staging"),
        storage=sto["nfs"],
        networks=lan,
        host=hosts[0],
        power=Power.SUSPENDED,
        home=hosts[0],
        tags=("web", "test"),
        description="Suspended over the holidays",
    )
    make.vm(
        "desk-ben",
        guest=guest("win11", "desk-ben"),
        storage=sto["nfs"],
        networks=lan,
        host=hosts[1],
        power=Power.SUSPENDED,
        vcpus=4,
        memory_bytes=8 * GIB,
        disks=(120 * GIB,),
        tags=("desktop",),
    )
    make.vm(
        "kernel-debug",
        guest=guest("debian12", "kernel-debug"),
        storage=sto["local2"],
        networks=(net["lab"],),
        host=hosts[2],
        power=Power.PAUSED,
        home=hosts[2],
        description="Stopped at a breakpoint",
        tags=("development",),
    )
    make.vm(
        "archive-2019",
        guest=guest("win2019", "archive-2019"),
        storage=sto["nfs"],
        networks=lan,
        disks=(80 * GIB, 400 * GIB, 400 * GIB, 400 * GIB, 400 * GIB),
        memory_bytes=8 * GIB,
        description="Read only archive, switched off",
        tags=("archive",),
    )
    old = make.vm(
        "web-old",
        guest=guest("debian11", "web-old"),
        storage=sto["nfs"],
        networks=lan,
        description="Replaced by web-01 … web-03, delete after March",
        tags=("archive",),
    )
    make.snapshot(old, "last good state", days_ago=200)
    make.vm(
        "sandbox",
        guest=guest("ubuntu", "sandbox"),
        storage=sto["local1"],
        networks=(net["lab"], net["lan"]),
        home=hosts[1],
        description="For tries",
        tags=("test",),
    )
    router = make.vm(
        "router-2",
        guest=guest("freebsd", "router-2"),
        storage=sto["nfs"],
        networks=(net["lan"], net["dmz"], net["storage"]),
        host=hosts[1],
        vcpus=2,
        memory_bytes=2 * GIB,
        disks=(16 * GIB,),
        description="Three cards, all with addresses",
        ipv6=True,
        up_days=61,
    )
    router.drives.append(Drive(id=make.world.new_id(), device="4", is_cd=True, read_only=True))
    silent = make.vm(
        "firewalled",
        guest=guest("debian12", "firewalled"),
        storage=sto["nfs"],
        networks=lan,
        host=hosts[2],
        description="Drops ICMP on purpose",
        up_days=11.5,
    )
    silent.guest.answers_ping = False


def add_hostile_vms(world: World, site_id: str) -> list[str]:
    """Add one VM per name of ``HOSTILE_NAMES`` to a site; returns their ids."""
    site = world.sites[site_id]
    make = SiteBuilder(world, site, ipaddress.IPv4Network("10.66.0.0/16"), ipaddress.IPv6Network("fd66::/64"))
    hosts = world.of_site(world.hosts.values(), site_id)
    storage = world.storages.get(site.default_storage_id or "")
    return [
        make.vm(
            name,
            guest=guest("debian12"),
            storage=storage,
            host=hosts[number % len(hosts)],
            description=name,
            tags=(name[:64],),
        ).id
        for number, name in enumerate(HOSTILE_NAMES)
    ]


def build_scaled(world: World, n_vms: int) -> None:
    """Add a pool "Scale" with ``n_vms`` VMs to ``world``: one disk and one card each, every tenth halted."""
    site = Site(
        id=world.new_id(),
        kind="xenserver",
        name="Scale",
        product="XCP-ng",
        version="8.3.0",
        user="root",
        password="lab-xen-7",
    )
    world.add(site)
    make = SiteBuilder(
        world, site, ipaddress.IPv4Network("10.32.0.0/12"), ipaddress.IPv6Network("fd32::/64"), next_host=1024
    )
    hosts = tuple(
        make.host(f"xen-{number + 1:02}", f"10.32.0.{number + 11}", memory_bytes=4 * TIB)
        for number in range(max(1, min(64, (n_vms + 249) // 250)))
    )
    site.master_id = hosts[0].id
    lan = make.network("Production LAN", "xenbr0", hosts=hosts, device="eth0", management=True)
    nfs = make.storage("NFS", "nfs", hosts, size_bytes=n_vms * 64 * GIB + TIB, default=True)
    for host in hosts:
        make.control_domain(host)
    kinds = ("debian12", "ubuntu", "rocky", "win2022")
    for number in range(n_vms):
        host = hosts[number % len(hosts)]
        name = f"vm-{number:05}"
        make.vm(
            name,
            guest=guest(kinds[number % 4], name),
            storage=nfs,
            networks=(lan,),
            home=host,
            host=None if number % 10 == 9 else host,
            tags=(f"rack-{number % 40}",),
            memory_bytes=2 * GIB,
        )
