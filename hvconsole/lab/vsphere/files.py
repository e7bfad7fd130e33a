"""The files that datastores hold: those of VMs, their disks, images of CDs; and what a browser shows of them.

The caller holds ``world.lock``.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass

from hvconsole.lab.objects import Disk, Storage, Vm
from hvconsole.lab.vsphere.tree import Tree
from hvconsole.lab.vsphere.values import Data, Ref, array, long, when
from hvconsole.lab.vsphere.vm_properties import MIB, disk_file, first_store, guest_id, vm_file, vm_uuid

_KINDS = {
    ".vmx": "VmConfigFileInfo",
    ".vmtx": "TemplateConfigFileInfo",
    ".vmdk": "VmDiskFileInfo",
    ".iso": "IsoImageFileInfo",
    ".log": "VmLogFileInfo",
    ".nvram": "VmNvramFileInfo",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file: its path inside the datastore, its size and, for a VM's own file, the VM, for a disk's the disk."""

    path: str
    size: int
    modified: float
    vm: Vm | None = None
    disk: Disk | None = None

    @property
    def folder(self) -> str:
        """The folder it is in; empty at the top."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its name without the folder."""
        return self.path.rpartition("/")[2]


def listed(tree: Tree, storage: Storage) -> list[File]:
    """Everything on a datastore."""
    found: dict[str, File] = {}
    prefix = f"[{storage.name}] "
    for vm in tree.vms():
        if first_store(tree, vm) == storage.name:
            path = vm_file(tree, vm).removeprefix(prefix)
            stem = path.removesuffix(".vmx")
            found[path] = File(path, len(settings(tree, vm)), vm.created, vm)
            found[f"{stem}.nvram"] = File(f"{stem}.nvram", 264_000, vm.created)
            found[f"{path.rpartition('/')[0]}/vmware.log"] = File(
                f"{path.rpartition('/')[0]}/vmware.log", 240_000, vm.created
            )
    for disk in tree.world.disks.values():
        if disk.storage_id == storage.id:
            path = disk_file(tree, disk.id).removeprefix(prefix)
            found[path] = File(path, disk.used_bytes, tree.world.now(), disk=disk)
    return list(found.values())


def settings(tree: Tree, vm: Vm) -> bytes:
    """A VM's own file: what it is made of, as ``key = "value"`` lines."""
    lines = [
        '.encoding = "UTF-8"',
        'config.version = "8"',
        'virtualHW.version = "19"',
        f'displayName = "{_quoted(vm.name)}"',
        f'annotation = "{_quoted(vm.description)}"',
        f'guestOS = "{guest_id(vm.guest).removesuffix("Guest").replace("_", "-")}"',
        f'numvcpus = "{vm.vcpus}"',
        f'memSize = "{vm.memory_bytes // MIB}"',
        f'uuid.bios = "{_spaced(vm)}"',
        'scsi0.present = "TRUE"',
        'scsi0.virtualDev = "pvscsi"',
    ]
    at = 0
    for drive in vm.drives:
        if drive.disk_id in tree.world.disks and not drive.is_cd:
            name = disk_file(tree, drive.disk_id)
            store, _, path = name.partition("] ")
            own = store.removeprefix("[") == first_store(tree, vm)
            storage = tree.world.disks[drive.disk_id].storage_id
            lines += [
                f'scsi0:{at}.present = "TRUE"',
                f'scsi0:{at}.deviceType = "scsi-hardDisk"',
                f'scsi0:{at}.fileName = "/vmfs/volumes/{first_store(tree, vm) if own else storage}/{path}"',
            ]
            at += 1 if at != 6 else 2
    for number, nic in enumerate(vm.nics):
        network = tree.world.networks.get(nic.network_id or "")
        lines += [
            f'ethernet{number}.present = "TRUE"',
            f'ethernet{number}.virtualDev = "vmxnet3"',
            f'ethernet{number}.networkName = "{_quoted(network.name if network else "")}"',
            f'ethernet{number}.addressType = "static"',
            f'ethernet{number}.address = "{nic.mac}"',
        ]
    return ("\n".join(lines) + "\n").encode()


def _quoted(text: str) -> str:
    return "".join(f"|{ord(char):02X}" if char in '"|#\n\r' or ord(char) < 32 else char for char in text)


def _spaced(vm: Vm) -> str:
    digits = vm_uuid(vm).replace("-", "")
    pairs = [digits[at : at + 2] for at in range(0, 32, 2)]
    return " ".join(pairs[:8]) + "-" + " ".join(pairs[8:])


def find(tree: Tree, store_name: str, path: str) -> tuple[Storage, File | None] | None:
    """A datastore by name and what is at a path on it."""
    storage = next((one for one in tree.storages() if one.name == store_name), None)
    if storage is None:
        return None
    return storage, next((file for file in listed(tree, storage) if file.path == path), None)


def folders(found: list[File], below: str) -> Iterator[str]:
    """The folders directly inside one."""
    prefix = f"{below}/" if below else ""
    yield from dict.fromkeys(
        prefix + file.path.removeprefix(prefix).partition("/")[0]
        for file in found
        if file.path.startswith(prefix) and "/" in file.path.removeprefix(prefix)
    )


def _details(file: File) -> dict[str, object]:
    disk = file.disk
    return {} if disk is None or disk.is_iso else {"capacityKb": long(disk.size_bytes // 1024)}


def result(storage: Storage, folder: str, found: list[File], patterns: list[str], kinds: frozenset[str]) -> Data:
    """``HostDatastoreBrowserSearchResults`` of one folder; ``kinds`` empty means every kind of file."""
    inside = [file for file in found if file.folder == folder]
    shown = [Data("FolderFileInfo", path=one.rpartition("/")[2]) for one in folders(found, folder)]
    shown += [
        Data(
            _KINDS.get("." + file.name.rpartition(".")[2].lower(), "FileInfo"),
            path=file.name,
            fileSize=long(file.size),
            modification=when(file.modified),
            owner="root",
            **_details(file),
        )
        for file in inside
    ]
    if kinds and "FileInfo" not in kinds:
        shown = [one for one in shown if one.type in kinds]
    if patterns:
        shown = [
            one
            for one in shown
            if any(fnmatch.fnmatchcase(str(one.get("path")).lower(), pattern.lower()) for pattern in patterns)
        ]
    return Data(
        "HostDatastoreBrowserSearchResults",
        datastore=Ref("Datastore", storage.id),
        folderPath=f"[{storage.name}] {folder}/" if folder else f"[{storage.name}]",
        file=array("FileInfo", shown),
    )
