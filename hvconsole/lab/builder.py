"""Building blocks for estates: hosts, networks, storages, VMs with sensible defaults in one call each.

Used by the estates of all three platforms while a world is built (one thread, no servers yet), and by tests.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from hvconsole.lab.objects import (
    GIB,
    Disk,
    Drive,
    Guest,
    Host,
    HostNic,
    Network,
    Nic,
    Power,
    Site,
    Snapshot,
    Storage,
    Vm,
)
from hvconsole.lab.world import World

DAY = 86_400.0

GUESTS: dict[str, Guest] = {
    "debian12": Guest(
        os="Debian GNU/Linux 12 (bookworm)",
        distro="debian",
        major="12",
        minor="5",
        kernel="6.1.0-18-amd64",
        tools_version="8.4.0-1",
    ),
    "debian11": Guest(
        os="Debian GNU/Linux 11 (bullseye)",
        distro="debian",
        major="11",
        minor="9",
        kernel="5.10.0-28-amd64",
        tools_version="7.20.0-9",
    ),
    "ubuntu": Guest(
        os="Ubuntu 22.04.4 LTS",
        distro="ubuntu",
        major="22",
        minor="04",
        kernel="5.15.0-101-generic",
        tools_version="8.4.0-1",
    ),
    "rocky": Guest(
        os="Rocky Linux release 9.3 (Blue Onyx)",
        distro="rocky",
        major="9",
        minor="3",
        kernel="5.14.0-362.18.1.el9_3.x86_64",
        tools_version="8.4.0-1",
    ),
    "sles": Guest(
        os="SUSE Linux Enterprise Server 15 SP5",
        distro="sles",
        major="15",
        minor="5",
        kernel="5.14.21-150500.55.49-default",
        tools_version="7.30.0-3",
    ),
    "win2019": Guest(
        os="Microsoft Windows Server 2019 Standard",
        family="windows",
        distro="windows",
        major="10",
        minor="0",
        kernel="17763",
        tools_version="9.3.2-50",
    ),
    "win2022": Guest(
        os="Microsoft Windows Server 2022 Standard",
        family="windows",
        distro="windows",
        major="10",
        minor="0",
        kernel="20348",
        tools_version="9.3.3-72",
    ),
    "win11": Guest(
        os="Microsoft Windows 11 Enterprise",
        family="windows",
        distro="windows",
        major="10",
        minor="0",
        kernel="22631",
        tools_version="9.3.3-72",
    ),
    "freebsd": Guest(
        os="FreeBSD 14.0-RELEASE",
        family="other",
        distro="freebsd",
        major="14",
        minor="0",
        kernel="14.0-RELEASE",
        tools_version="7.30.0-6",
    ),
    "none": Guest(os="", family="other", tools=False),
}
"""Guests to copy from (``guest``); every VM needs an instance of its own."""


def guest(kind: str, hostname: str = "", *, tools: bool = True) -> Guest:
    """A new guest of a kind of ``GUESTS``; without ``tools`` the server knows nothing about it."""
    made = replace(GUESTS[kind], hostname=hostname)
    if not tools:
        made.tools, made.tools_version = False, ""
    return made


@dataclass(slots=True)
class SiteBuilder:
    """Adds objects to one site. Guests get addresses from ``subnet`` (and ``subnet6``) in order."""

    world: World
    site: Site
    subnet: ipaddress.IPv4Network
    subnet6: ipaddress.IPv6Network
    next_host: int = 50

    def host(
        self,
        name: str,
        address: str,
        *,
        booted_days_ago: float = 30.0,
        memory_bytes: int = 256 * GIB,
        description: str = "",
        group_id: str | None = None,
    ) -> Host:
        """A host that is up."""
        host = Host(
            id=self.world.new_id(),
            site_id=self.site.id,
            name=name,
            address=address,
            description=description,
            group_id=group_id,
            product=self.site.product,
            version=self.site.version,
            memory_bytes=memory_bytes,
            booted=self.world.now() - booted_days_ago * DAY,
            serial=self.world.new_id()[:7].upper(),
        )
        self.world.add(host)
        return host

    def network(
        self,
        name: str,
        bridge: str = "",
        *,
        description: str = "",
        vlan: int = -1,
        hosts: tuple[Host, ...] = (),
        device: str = "",
        management: bool = False,
    ) -> Network:
        """A network, with a card ``device`` on each of ``hosts`` (none: internal)."""
        network = Network(
            id=self.world.new_id(), site_id=self.site.id, name=name, bridge=bridge, description=description, vlan=vlan
        )
        self.world.add(network)
        gateway = str(self.subnet.network_address + 1)
        for host in hosts:
            host.nics.append(
                HostNic(
                    id=self.world.new_id(),
                    device=device,
                    mac=self.world.new_mac(),
                    network_id=network.id,
                    vlan=vlan,
                    address=host.address if management else "",
                    netmask=str(self.subnet.netmask) if management else "",
                    gateway=gateway if management else "",
                    management=management,
                )
            )
            self.world.changed(host)
        return network

    def storage(
        self,
        name: str,
        kind: str,
        hosts: tuple[Host, ...],
        *,
        size_bytes: int,
        used_bytes: int = 0,
        holds_iso: bool = False,
        description: str = "",
        default: bool = False,
    ) -> Storage:
        """A storage that ``hosts`` see; shared when there are several (or in a pool of one, for "nfs")."""
        storage = Storage(
            id=self.world.new_id(),
            site_id=self.site.id,
            name=name,
            kind=kind,
            description=description,
            shared=len(hosts) > 1 or kind in ("nfs", "iso"),
            holds_iso=holds_iso,
            size_bytes=size_bytes,
            used_bytes=used_bytes,
            host_ids=[host.id for host in hosts],
        )
        self.world.add(storage)
        if default:
            self.site.default_storage_id = storage.id
        return storage

    def iso(self, storage: Storage, name: str, size_bytes: int) -> Disk:
        """A CD image."""
        disk = Disk(
            id=self.world.new_id(),
            site_id=self.site.id,
            storage_id=storage.id,
            name=name,
            is_iso=True,
            read_only=True,
            size_bytes=size_bytes,
            used_bytes=size_bytes,
        )
        self.world.add(disk)
        return disk

    def vm(
        self,
        name: str,
        *,
        guest: Guest | None = None,
        storage: Storage | None = None,
        networks: tuple[Network, ...] = (),
        host: Host | None = None,
        home: Host | None = None,
        power: Power | None = None,
        vcpus: int = 2,
        memory_bytes: int = 4 * GIB,
        disks: tuple[int, ...] = (40 * GIB,),
        description: str = "",
        tags: tuple[str, ...] = (),
        up_days: float = 12.0,
        ipv6: bool = False,
        cd: Disk | None = None,
        addresses: tuple[str, ...] | None = None,
    ) -> Vm:
        """A VM: on ``host`` it runs (or is paused); without one it is halted. ``disks`` are sizes in bytes.

        ``addresses`` are those of the first card; by default one IPv4 per card comes from the subnet.
        """
        world = self.world
        state = power or (Power.RUNNING if host is not None else Power.HALTED)
        inside = guest or Guest(tools=False)
        inside.tools_running = inside.tools and state is Power.RUNNING
        vm = Vm(
            id=world.new_vm_id(self.site.id),
            site_id=self.site.id,
            name=name,
            description=description,
            power=state,
            host_id=host.id if host is not None and state in (Power.RUNNING, Power.PAUSED) else None,
            suspended_on=host.id if host is not None and state is Power.SUSPENDED else None,
            home_host_id=home.id if home is not None else None,
            tags=list(tags),
            guest=inside,
            vcpus=vcpus,
            memory_bytes=memory_bytes,
            created=world.now() - 400 * DAY,
            started=world.now() - up_days * DAY if host is not None else 0.0,
        )
        for position, size in enumerate(disks):
            if storage is None:
                break
            disk = Disk(
                id=world.new_id(),
                site_id=self.site.id,
                storage_id=storage.id,
                size_bytes=size,
                used_bytes=size * 3 // 5,
                name=f"{name} disk {position}",
            )
            world.add(disk)
            storage.used_bytes += disk.used_bytes
            vm.drives.append(Drive(id=world.new_id(), device=str(position), disk_id=disk.id, bootable=position == 0))
        vm.drives.append(
            Drive(
                id=world.new_id(),
                device=str(len(disks) if len(disks) > 3 else 3),
                is_cd=True,
                read_only=True,
                disk_id=cd.id if cd is not None else None,
            )
        )
        for position, network in enumerate(networks):
            nic = Nic(id=world.new_id(), device=str(position), mac=world.new_mac(), network_id=network.id)
            if position == 0 and addresses is not None:
                nic.addresses = list(addresses)
            else:
                nic.addresses = [self.next_address()]
                if ipv6 and position == 0:
                    nic.addresses.append(str(self.subnet6.network_address + self.next_host))
            vm.nics.append(nic)
        world.add(vm)
        return vm

    def next_address(self) -> str:
        """The next free IPv4 address of the subnet."""
        self.next_host += 1
        return str(self.subnet.network_address + self.next_host)

    def snapshot(
        self,
        vm: Vm,
        name: str,
        *,
        days_ago: float,
        parent: Snapshot | None = None,
        memory: bool = False,
        description: str = "",
        current: bool = True,
    ) -> Snapshot:
        """A snapshot of ``vm`` under ``parent``; ``current``: the VM's state descends from it."""
        world = self.world
        drives: list[Drive] = []
        for drive in vm.drives:
            source = world.disks.get(drive.disk_id or "")
            if source is None or source.is_iso:
                drives.append(replace(drive, id=world.new_id(), extra={}))
                continue
            taken = world.now() - days_ago * DAY
            disk = Disk(
                id=world.new_id(),
                site_id=vm.site_id,
                storage_id=source.storage_id,
                name=source.name,
                size_bytes=source.size_bytes,
                used_bytes=source.used_bytes // 20,
                snapshot_of=source.id,
                taken=taken,
            )
            world.add(disk)
            drives.append(replace(drive, id=world.new_id(), disk_id=disk.id, extra={}))
        snapshot = Snapshot(
            id=world.new_id(),
            site_id=vm.site_id,
            vm_id=vm.id,
            name=name,
            description=description,
            created=world.now() - days_ago * DAY,
            parent_id=parent.id if parent else None,
            with_memory=memory,
            power=Power.RUNNING if memory else vm.power,
            vcpus=vm.vcpus,
            memory_bytes=vm.memory_bytes,
            drives=drives,
            nics=[replace(nic, id=world.new_id(), addresses=list(nic.addresses), extra={}) for nic in vm.nics],
            guest=replace(vm.guest),
            tags=list(vm.tags),
        )
        world.add(snapshot)
        if current:
            vm.current_snapshot_id = snapshot.id
            world.changed(vm)
        return snapshot

    def template(
        self,
        name: str,
        *,
        guest: Guest,
        default: bool = True,
        memory_bytes: int = 2 * GIB,
        vcpus: int = 1,
        description: str = "",
        disk_bytes: int = 20 * GIB,
    ) -> Vm:
        """A template; default templates have no disks but a recipe (``extra["disk_bytes"]``)."""
        vm = Vm(
            id=self.world.new_vm_id(self.site.id),
            site_id=self.site.id,
            name=name,
            description=description,
            is_template=True,
            is_default_template=default,
            guest=guest,
            memory_bytes=memory_bytes,
            vcpus=vcpus,
            created=self.world.now() - 900 * DAY,
        )
        vm.extra["disk_bytes"] = disk_bytes
        self.world.add(vm)
        return vm

    def control_domain(self, host: Host) -> Vm:
        """dom0 of a host."""
        vm = Vm(
            id=self.world.new_vm_id(self.site.id),
            site_id=self.site.id,
            name=f"Control domain on host: {host.name}",
            is_control_domain=True,
            power=Power.RUNNING,
            host_id=host.id,
            home_host_id=host.id,
            vcpus=8,
            memory_bytes=4 * GIB,
            started=host.booted,
            guest=Guest(tools=False),
            description="The domain which manages physical devices and manages other domains",
        )
        self.world.add(vm)
        host.extra["control_domain_id"] = vm.id
        return vm
