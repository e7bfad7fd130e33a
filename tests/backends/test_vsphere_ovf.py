"""Export and import through leases: on the lab and on VMware's own simulator; cancelled, broken, hostile."""

from __future__ import annotations

import hashlib
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hvconsole.backends.base import Hypervisor, TaskContext
from hvconsole.errors import (
    BadPowerState,
    HvError,
    InvalidInput,
    LocalError,
    OutcomeUnknown,
    TaskCancelled,
    Unreachable,
)
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.sites import Identity
from hvconsole.model import PowerState
from tests.peers.vcsim import Vcsim

from .vsphere_lab import VsphereLab, first, log_in_to_vcsim, named, until, vsphere_lab


@pytest.fixture(params=[False, True], ids=["vcenter", "esxi"])
def lab(request: pytest.FixtureRequest, lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity, esxi=request.param) as running:
        yield running


@pytest.fixture
def hv(lab: VsphereLab) -> Hypervisor:
    return lab.log_in()


def spare(lab: VsphereLab) -> str:
    return "branch-spare" if lab.site.flavour == "esxi" else "sandbox-zh"


def checked(folder: Path, base: str) -> None:
    """Every file of an exported folder has its right digest in the manifest."""
    lines = (folder / f"{base}.mf").read_text().splitlines()
    digests = dict(line.removeprefix("SHA256(").split(")= ") for line in lines)
    assert {path.name for path in folder.iterdir()} == {*digests, f"{base}.mf"}
    for name, digest in digests.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


class TestExport:
    def test_into_a_folder(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> None:
        vm = named(first(hv), spare(lab))
        seen: list[float] = []
        texts: list[str] = []

        def report(fraction: float | None, text: str) -> None:
            texts.append(text)
            if fraction is not None:
                seen.append(fraction)

        hv.export_vm(vm.id, tmp_path / "out", TaskContext(report))
        checked(tmp_path / "out", "out")
        assert seen == sorted(seen)
        assert any("MiB/s" in text for text in texts)

    def test_beside_an_ovf(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> None:
        vm = named(first(hv), spare(lab))
        hv.export_vm(vm.id, tmp_path / "mine.ovf", TaskContext())
        checked(tmp_path, "mine")

    def test_an_ova_that_tar_can_read(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> None:
        vm = named(first(hv), spare(lab))
        hv.export_vm(vm.id, tmp_path / "mine.ova", TaskContext())
        with tarfile.open(tmp_path / "mine.ova") as archive:
            assert archive.getnames() == ["mine.ovf", "mine.mf", "mine-disk1.vmdk"]
        assert [path.name for path in tmp_path.iterdir()] == ["mine.ova"]

    def test_an_earlier_export_stays_until_the_new_one_is_complete(
        self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path
    ) -> None:
        vm = named(first(hv), spare(lab))
        (tmp_path / "mine.ova").write_bytes(b"earlier")
        lab.world.faults.add(FaultRule(method="CreateDescriptor", code="SystemError", max_count=1))
        with pytest.raises(HvError):
            hv.export_vm(vm.id, tmp_path / "mine.ova", TaskContext())
        assert (tmp_path / "mine.ova").read_bytes() == b"earlier"
        hv.export_vm(vm.id, tmp_path / "mine.ova", TaskContext())
        assert tarfile.is_tarfile(tmp_path / "mine.ova")
        assert [path.name for path in tmp_path.iterdir()] == ["mine.ova"]

    def test_cancelled_at_once_and_without_a_trace(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> None:
        vm = named(first(hv), spare(lab))
        lab.site.extra["transfer_pause_s"] = 0.2
        ctx = TaskContext()
        timer = threading.Timer(0.6, ctx.cancel)
        timer.start()
        with pytest.raises(TaskCancelled):
            hv.export_vm(vm.id, tmp_path / "mine.ova", ctx)
        timer.join()
        assert list(tmp_path.iterdir()) == []
        assert {lease.state for lease in lab.server.service.leases._open.values()} == {"error"}
        with lab.world.lock:
            assert vm.id in lab.world.vms

    def test_of_a_running_vm(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> None:
        vm = next(vm for vm in first(hv).vms.values() if vm.power is PowerState.RUNNING)
        with pytest.raises(BadPowerState):
            hv.export_vm(vm.id, tmp_path / "mine.ova", TaskContext())
        assert list(tmp_path.iterdir()) == []

    def test_onto_a_pipe(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> None:
        vm = named(first(hv), spare(lab))
        os.mkfifo(tmp_path / "mine.ova")
        with pytest.raises(InvalidInput):
            hv.export_vm(vm.id, tmp_path / "mine.ova", TaskContext())
        assert (tmp_path / "mine.ova").is_fifo()
        with pytest.raises(InvalidInput):
            hv.import_vm(tmp_path / "mine.ova", TaskContext())

    def test_the_connection_breaks(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> None:
        vm = named(first(hv), spare(lab))
        lab.site.extra["transfer_pause_s"] = 0.1
        timer = threading.Timer(0.5, lambda: lab.server._server and lab.server._server.cut_all())
        timer.start()
        with pytest.raises(Unreachable):
            hv.export_vm(vm.id, tmp_path / "mine.ova", TaskContext())
        timer.join()
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_written(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> None:
        vm = named(first(hv), spare(lab))
        (tmp_path / "file").write_text("")
        with pytest.raises(LocalError):
            hv.export_vm(vm.id, tmp_path / "file" / "mine.ova", TaskContext())


class TestImport:
    @pytest.fixture
    def package(self, lab: VsphereLab, hv: Hypervisor, tmp_path: Path) -> Path:
        hv.export_vm(named(first(hv), spare(lab)).id, tmp_path / "mine.ovf", TaskContext())
        return tmp_path / "mine.ovf"

    def test_what_was_sent_arrives(self, lab: VsphereLab, hv: Hypervisor, package: Path) -> None:
        made = hv.import_vm(package, TaskContext(), name="came / back")
        seen = until(hv, lambda i: i.vms.get(made))
        assert (seen.name, seen.power, len(seen.nics)) == ("came / back", PowerState.HALTED, 1)
        with lab.world.lock:
            vm = lab.world.vms[made]
            disk = next(lab.world.disks[d.disk_id] for d in vm.drives if d.disk_id and not d.is_cd)
            assert (
                disk.extra["received"] == hashlib.sha256((package.parent / "mine-disk1.vmdk").read_bytes()).hexdigest()
            )
        hv.start(made, TaskContext())

    def test_choices_are_kept(self, lab: VsphereLab, hv: Hypervisor, package: Path) -> None:
        inventory = first(lab.log_in())
        host = next(iter(inventory.hosts.values()))
        store = next(s for s in inventory.storages.values() if host.id in s.host_ids)
        network = next(n for n in inventory.networks.values() if host.id in n.host_ids)
        made = hv.import_vm(
            package, TaskContext(), name="chosen", host_id=host.id, storage_id=store.id, network_id=network.id
        )
        with lab.world.lock:
            vm = lab.world.vms[made]
            assert vm.home_host_id == host.id
            assert [nic.network_id for nic in vm.nics] == [network.id]
            assert {lab.world.disks[d.disk_id].storage_id for d in vm.drives if d.disk_id} == {store.id}

    def test_a_damaged_disk_is_noticed_before_the_server_is_asked(
        self, lab: VsphereLab, hv: Hypervisor, package: Path
    ) -> None:
        disk = package.parent / "mine-disk1.vmdk"
        data = bytearray(disk.read_bytes())
        data[1000] ^= 1
        disk.write_bytes(data)
        seen = lab.world.faults.add(FaultRule(method="*", effect=Effect.DELAY))
        with pytest.raises(InvalidInput, match="digest"):
            hv.import_vm(package, TaskContext(), name="damaged")
        assert seen.seen == 0

    def test_cancelled_leaves_nothing_on_the_server(self, lab: VsphereLab, hv: Hypervisor, package: Path) -> None:
        before = set(lab.world.vms)
        lab.site.extra["transfer_pause_s"] = 0.2
        ctx = TaskContext()
        timer = threading.Timer(0.8, ctx.cancel)
        timer.start()
        with pytest.raises(TaskCancelled):
            hv.import_vm(package, ctx, name="cancelled")
        timer.join()
        with lab.world.lock:
            assert set(lab.world.vms) == before

    def test_failed_in_the_middle_leaves_nothing_on_the_server(
        self, lab: VsphereLab, hv: Hypervisor, package: Path
    ) -> None:
        before = set(lab.world.vms)
        lab.site.extra["transfer_pause_s"] = 0.1
        timer = threading.Timer(0.8, lambda: lab.server._server and lab.server._server.cut_all())
        timer.start()
        with pytest.raises((Unreachable, OutcomeUnknown)):
            hv.import_vm(package, TaskContext(), name="failed")
        timer.join()
        with lab.world.lock:
            assert set(lab.world.vms) == before

    def test_a_name_that_is_taken(self, lab: VsphereLab, hv: Hypervisor, package: Path) -> None:
        with pytest.raises(InvalidInput):
            hv.import_vm(
                package, TaskContext(), name=next(vm.name for vm in lab.world.vms.values() if not vm.folder_id)
            )

    def test_leases_are_told_that_we_are_still_there(
        self, lab: VsphereLab, hv: Hypervisor, package: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hvconsole.backends.vsphere_ovf.PULSE_S", 0.0)
        lab.site.extra["transfer_pause_s"] = 0.05
        beats = lab.world.faults.add(FaultRule(method="HttpNfcLeaseProgress", effect=Effect.DELAY))
        hv.import_vm(package, TaskContext(), name="slow")
        assert beats.seen >= 3


@pytest.mark.parametrize("kind", ["vpx", "esx"])
def test_vcsim_there_and_back(kind: str, tmp_path: Path) -> None:
    with Vcsim(kind) as peer:
        hv = log_in_to_vcsim(peer)
        vm = next(iter(first(hv).vms.values()))
        hv.power_off(vm.id, TaskContext())
        hv.export_vm(vm.id, tmp_path / "out.ova", TaskContext())
        made = hv.import_vm(tmp_path / "out.ova", TaskContext(), name="imported")
        assert until(hv, lambda i: i.vms.get(made)).name == "imported"
        hv.close()
