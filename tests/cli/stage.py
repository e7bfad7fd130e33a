"""A server that answers from memory, for the tests of the command line."""

from dataclasses import replace

from hvconsole.backends.base import Capability, Hypervisor, Step, VmDetails
from hvconsole.clock import SystemClock
from hvconsole.model import (
    AUTOMATIC_MARK,
    Certificate,
    Disk,
    Host,
    Inventory,
    Network,
    ObjectId,
    Pool,
    PowerState,
    ServerInfo,
    Snapshot,
    Storage,
    ToolsState,
    Verb,
    Vm,
    VmKind,
)

NOW = SystemClock().now()
INFO = ServerInfo(platform="xenserver", product="XCP-ng", version="8.3", address="pool", port=443, user="root")
URL = "xenserver://root@pool.example"
SHA = "ab" * 32
PRESENTED = Certificate(host="pool.example", port=443, sha256=SHA, subject="CN=pool", issuer="CN=pool")
OTHER = replace(PRESENTED, sha256="cd" * 32)
CANARY = "cAnArY-pa55"


def vm(number, name=None, **values):
    return Vm(id=ObjectId(f"vm-{number}"), uuid=f"0000-{number}", name=name or f"web{number}", **values)


def snapshot(number, name, **values):
    return Snapshot(id=ObjectId(f"snap-{number}"), name=name, created=NOW, **values)


def estate():
    host = Host(id=ObjectId("h1"), uuid="h-uuid-1", name="node1")
    automatic = snapshot(2, "Network_Down x", description=AUTOMATIC_MARK, parent_id=ObjectId("snap-1"))
    snaps = (snapshot(1, "before"), automatic)
    vms = [
        vm(1, power=PowerState.RUNNING, host_id=host.id, pool_id=ObjectId("p1"), addresses=("10.0.0.1", "fe80::1"),
           tools=ToolsState.RUNNING, os="Debian 12", vcpus=2, memory_bytes=1 << 30, snapshots=snaps),
        vm(2, refusals={Verb.START: "It is broken."}),
        vm(3, name="twin"),
        vm(4, name="twin"),
        vm(5, name="evil\x1b[31m‮"),
        vm(9, kind=VmKind.TEMPLATE, name="Debian template"),
    ]  # fmt: skip
    return Inventory(
        server=INFO,
        taken=NOW,
        pools={ObjectId("p1"): Pool(id=ObjectId("p1"), uuid="p1", name="", master_id=host.id)},
        hosts={host.id: host},
        vms={each.id: each for each in vms},
        networks={ObjectId("n1"): Network(id=ObjectId("n1"), uuid="n-uuid-1", name="LAN")},
        storages={ObjectId("sr"): Storage(id=ObjectId("sr"), uuid="sr-uuid", name="local")},
    )


class Server(Hypervisor):
    """Does what it is told and remembers it. ``trouble`` maps a VM to the error its verbs raise."""

    info = INFO
    capabilities = ~Capability.NONE

    def __init__(self):
        self.inventory = estate()
        self.calls = []
        self.trouble = {}
        self.closed = 0
        self.logins = []

    def watch(self, timeout_s):
        return self.inventory

    def refresh(self):
        raise AssertionError

    def close(self):
        self.closed += 1

    def details(self, vm_id):
        root, data = Disk(id=ObjectId("d1"), name="root"), Disk(id=ObjectId("d2"), name="data")
        return VmDetails(vm_id=vm_id, disks=(root, data, Disk(id=ObjectId("cd"), is_cd=True)))

    def diagnose(self):
        yield Step(name="clock", ok=False, text="The clocks differ by 90 s.", remedy="Set the clock.")

    def _do(self, verb, vm_id, *values, **options):
        self.calls.append((verb, vm_id, *values, options) if options else (verb, vm_id, *values))
        if vm_id in self.trouble:
            raise self.trouble[vm_id]

    def start(self, vm_id, ctx, *, host_id=None):
        self._do("start", vm_id, **({"host_id": host_id} if host_id else {}))

    def shutdown(self, vm_id, ctx):
        self._do("shutdown", vm_id)

    def power_off(self, vm_id, ctx):
        self._do("power_off", vm_id)

    reboot = reset = power_off

    def snapshot(self, vm_id, name, description, ctx, *, memory=False, quiesce=False):
        self._do("snapshot", vm_id, name, description, memory=memory, quiesce=quiesce)
        return snapshot(7, name)

    def revert(self, vm_id, snapshot_id, ctx):
        self._do("revert", vm_id, snapshot_id)

    def delete_vm(self, vm_id, ctx, *, keep_disks=frozenset()):
        self._do("delete", vm_id, keep_disks)

    def rename(self, vm_id, name, ctx, *, description=None):
        self._do("rename", vm_id, name, description)

    def migrate(self, vm_id, host_id, ctx, *, storage_id=None):
        if storage_id is not None and Capability.MIGRATE_STORAGE not in self.capabilities:
            raise self._unsupported("moving disks while migrating")
        self._do("migrate", vm_id, host_id, storage_id)

    def import_vm(self, path, ctx, *, name="", storage_id=None, host_id=None, network_id=None):
        self._do("import", "", str(path), name, storage_id, host_id, network_id)
        return ObjectId("vm-new")

    def create_vm(self, spec, ctx):
        self._do("create", "", spec)
        return ObjectId("vm-new")

    def host_info(self, host_id):
        raise AssertionError

    def host_reboot(self, host_id, ctx, *, force=False):
        self._do("host_reboot", host_id, force)

    def change_password(self, old, new, ctx):
        self._do("change_password", "", old.password, new.password)


class Said:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
