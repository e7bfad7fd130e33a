"""VMs over XenAPI with PyPI's client: power, refusals, snapshots, creation, devices."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

from hvconsole.lab import Lab
from hvconsole.lab.objects import Power
from hvconsole.lab.xapi import schema
from tests.lab.conftest import failure

Ref = Callable[[str], str]
NULL = "OpaqueRef:NULL"


def test_every_class_gives_complete_records(api: Any) -> None:
    for name, klass in schema.CLASSES.items():
        if name == "session":
            continue
        for record in getattr(api, name).get_all_records().values():
            assert set(record) == set(klass.fields), name


def test_one_record_by_uuid_name_and_field(api: Any, ref_of: Ref) -> None:
    ref = ref_of("web-01")
    record = api.VM.get_record(ref)
    assert api.VM.get_by_uuid(record["uuid"]) == ref
    assert api.VM.get_power_state(ref) == record["power_state"] == "Running"
    assert record["memory_static_max"] == str(4 << 30)
    assert api.VM_guest_metrics.get_networks(record["guest_metrics"])["0/ip"].startswith("10.20.")
    assert api.console.get_protocol(record["consoles"][0]) == "rfb"
    assert record["resident_on"] == record["affinity"] != NULL
    assert failure(api.VM.get_by_uuid, "nobody") == ["UUID_INVALID", "VM", "nobody"]
    assert failure(api.VM.get_record, "OpaqueRef:gone") == ["HANDLE_INVALID", "VM", "OpaqueRef:gone"]


def test_unknown_messages_and_wrong_numbers_of_parameters(api: Any, ref_of: Ref) -> None:
    assert failure(api.VM.fly, ref_of("web-01")) == ["MESSAGE_METHOD_UNKNOWN", "VM.fly"]
    assert failure(api.VM.start, ref_of("web-01")) == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.start", "3", "1"]
    assert failure(api.VM.start, ref_of("web-old"), "yes", False)[0] == "FIELD_TYPE_ERROR"


def test_the_whole_life_of_power(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    api.VM.suspend(vm)
    assert (api.VM.get_power_state(vm), api.VM.get_resident_on(vm), api.VM.get_consoles(vm)) == ("Suspended", NULL, [])
    api.VM.resume(vm, False, False)
    api.VM.pause(vm)
    assert api.VM.get_power_state(vm) == "Paused"
    api.VM.unpause(vm)
    api.VM.clean_reboot(vm)
    api.VM.hard_reboot(vm)
    api.VM.clean_shutdown(vm)
    api.VM.start(vm, True, False)
    assert api.VM.get_power_state(vm) == "Paused"
    api.VM.hard_shutdown(vm)
    host = api.host.get_by_name_label("xen-basel-3")[0]
    api.VM.start_on(vm, host, False, False)
    assert api.VM.get_resident_on(vm) == host
    assert vm in api.host.get_resident_VMs(host)
    target = api.host.get_by_name_label("xen-basel-2")[0]
    api.VM.pool_migrate(vm, target, {"live": "true"})
    assert api.VM.get_resident_on(vm) == target


def test_refusals_in_the_words_of_xapi(api: Any, ref_of: Ref) -> None:
    web, silent, blocked = ref_of("web-01"), ref_of("telephony"), ref_of("backup-proxy")
    assert failure(api.VM.start, web, False, False) == ["VM_BAD_POWER_STATE", web, "halted", "running"]
    assert failure(api.VM.hard_shutdown, ref_of("web-old")) == [
        "VM_BAD_POWER_STATE",
        ref_of("web-old"),
        "paused, suspended, running",
        "halted",
    ]
    assert failure(api.VM.clean_shutdown, silent) == ["VM_LACKS_FEATURE", silent]
    assert failure(api.VM.suspend, silent) == ["VM_LACKS_FEATURE", silent]
    assert failure(api.VM.hard_shutdown, blocked)[:2] == ["OPERATION_BLOCKED", blocked]
    template = ref_of("Debian Bookworm 12")
    assert failure(api.VM.start, template, False, False) == ["VM_IS_TEMPLATE", template, "start"]
    assert failure(api.VM.destroy, template) == ["VM_CANNOT_DELETE_DEFAULT_TEMPLATE", template]
    dom0 = ref_of("Control domain on host: xen-basel-1")
    assert failure(api.VM.hard_shutdown, dom0)[0] == "OPERATION_NOT_ALLOWED"
    assert failure(api.VM.provision, ref_of("web-old")) == ["PROVISION_ONLY_ALLOWED_ON_TEMPLATE"]
    assert failure(api.VM.revert, web) == ["REVERT_ONLY_ALLOWED_ON_SNAPSHOT"]
    assert failure(api.VM.snapshot_with_quiesce, web, "q")[0] == "VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED"
    assert failure(api.VM.checkpoint, ref_of("web-old"), "c")[0] == "VM_BAD_POWER_STATE"


def test_allowed_operations_agree_with_what_is_refused(api: Any) -> None:
    for ref, record in api.VM.get_all_records().items():
        for operation in ("start", "clean_shutdown", "suspend", "snapshot", "destroy", "revert", "provision"):
            if operation in record["allowed_operations"]:
                api.VM.assert_operation_valid(ref, operation)
            else:
                failure(api.VM.assert_operation_valid, ref, operation)


def test_blocked_operations_are_kept_and_cleared(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    api.VM.add_to_blocked_operations(vm, "pause", "not now")
    assert "pause" not in api.VM.get_allowed_operations(vm)
    assert failure(api.VM.pause, vm) == ["OPERATION_BLOCKED", vm, "not now"]
    api.VM.remove_from_blocked_operations(vm, "pause")
    api.VM.pause(vm)
    blocked = ref_of("backup-proxy")
    assert "hard_shutdown" in api.VM.get_blocked_operations(blocked)
    api.VM.set_blocked_operations(blocked, {})
    api.VM.hard_shutdown(blocked)


def test_maps_are_changed_key_by_key(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    api.VM.add_to_other_config(vm, "folder", "/web")
    assert failure(api.VM.add_to_other_config, vm, "folder", "x") == [
        "MAP_DUPLICATE_KEY",
        "VM",
        "other_config",
        api.VM.get_uuid(vm),
        "folder",
    ]
    api.VM.remove_from_other_config(vm, "folder")
    api.VM.remove_from_other_config(vm, "folder")
    api.VM.add_tags(vm, "new")
    assert "new" in api.VM.get_tags(vm)
    api.VM.set_name_label(vm, "renamed \u00e4 <&>")
    assert api.VM.get_name_label(vm) == "renamed \u00e4 <&>"


def test_snapshots_are_templates_with_disks_of_their_own(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-02")
    first = api.VM.snapshot(vm, "first")
    second = api.VM.checkpoint(vm, "second")
    record = api.VM.get_record(second)
    assert (record["is_a_template"], record["is_a_snapshot"], record["power_state"]) == (True, True, "Suspended")
    assert (record["snapshot_of"], record["parent"]) == (vm, first)
    assert api.VM.get_parent(vm) == second
    assert api.VM.get_children(second) == [vm]
    assert set(api.VM.get_snapshots(vm)) == {first, second}
    before = [api.VBD.get_VDI(vbd) for vbd in api.VM.get_VBDs(vm)]
    api.VM.revert(first)
    assert api.VM.get_power_state(vm) == "Halted"
    after = [api.VBD.get_VDI(vbd) for vbd in api.VM.get_VBDs(vm)]
    assert set(before) & set(after) <= {NULL}
    disks = [api.VBD.get_VDI(vbd) for vbd in api.VM.get_VBDs(second)]
    api.VM.destroy(second)
    for disk in disks:
        if disk != NULL:
            assert api.VDI.get_VBDs(disk) == []
            api.VDI.destroy(disk)
    assert api.VM.get_snapshots(vm) == [first]
    api.VM.revert(first)


def test_destroying_a_vm_leaves_disks_and_snapshots(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-old")
    snapshots = api.VM.get_snapshots(vm)
    disks = [api.VBD.get_VDI(vbd) for vbd in api.VM.get_VBDs(vm)]
    api.VM.destroy(vm)
    assert failure(api.VM.get_record, vm)[0] == "HANDLE_INVALID"
    assert api.VM.get_snapshot_of(snapshots[0]) == vm
    for disk in disks:
        if disk != NULL:
            api.VDI.destroy(disk)
    api.VM.revert(snapshots[0])
    assert len(api.VM.get_by_name_label("last good state")) == 2


def test_a_vm_from_a_template(api: Any, ref_of: Ref) -> None:
    made = api.VM.clone(ref_of("Debian Bookworm 12"), "fresh")
    disks = api.VM.get_other_config(made)["disks"]
    assert failure(api.VM.provision, made) == ["UUID_INVALID", "sr", ""]
    sr = api.SR.get_by_name_label("Basel NFS")[0]
    api.VM.remove_from_other_config(made, "disks")
    api.VM.add_to_other_config(made, "disks", disks.replace('sr=""', f'sr="{api.SR.get_uuid(sr)}"'))
    api.VM.set_VCPUs_max(made, "4")
    api.VM.set_VCPUs_at_startup(made, "2")
    size = str(2 << 30)
    api.VM.set_memory_limits(made, str(1 << 29), size, size, size)
    network = api.network.get_by_name_label("Production LAN")[0]
    card = {
        "device": "0",
        "network": network,
        "VM": made,
        "MAC": "",
        "MTU": "1500",
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    api.VIF.create(card)
    assert failure(api.VIF.create, card) == ["DEVICE_ALREADY_EXISTS", "0"]
    api.VM.provision(made)
    drive = {
        "VM": made,
        "VDI": NULL,
        "userdevice": "3",
        "bootable": False,
        "mode": "RO",
        "type": "CD",
        "unpluggable": True,
        "empty": True,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    cd = api.VBD.create(drive)
    api.VBD.insert(cd, api.VDI.get_by_name_label("debian-12.5.0-amd64-netinst.iso")[0])
    assert api.VM.get_allowed_VBD_devices(made)[:2] == ["1", "2"]
    api.VM.start(made, False, False)
    record = api.VM.get_record(made)
    assert (record["is_a_template"], record["VCPUs_max"], record["VCPUs_at_startup"]) == (False, "4", "2")
    assert "disks" not in record["other_config"]
    assert len(record["VBDs"]) == 2


def test_full_copies_choose_the_storage(api: Any, ref_of: Ref) -> None:
    sr = api.SR.get_by_name_label("Basel SAN")[0]
    made = api.VM.copy(ref_of("web-old"), "copy", sr)
    disk = api.VBD.get_VDI(api.VM.get_VBDs(made)[0])
    assert api.VDI.get_SR(disk) == sr
    iso = api.SR.get_by_name_label("ISO library")[0]
    assert failure(api.VM.copy, ref_of("web-old"), "copy", iso)[0] == "OPERATION_NOT_ALLOWED"


def test_a_vm_from_a_record(api: Any, ref_of: Ref) -> None:
    record = api.VM.get_record(ref_of("sandbox"))
    record["name_label"] = "made by hand"
    made = api.VM.create(record)
    assert api.VM.get_power_state(made) == "Halted"
    assert api.VM.get_memory_static_max(made) == record["memory_static_max"]
    del record["recommendations"]
    assert failure(api.VM.create, record) == ["FIELD_TYPE_ERROR", "recommendations"]


def test_where_a_vm_can_run(api: Any, ref_of: Ref) -> None:
    fax = ref_of("legacy-fax")
    assert [api.host.get_name_label(host) for host in api.VM.get_possible_hosts(fax)] == ["xen-basel-1"]
    second = api.host.get_by_name_label("xen-basel-2")[0]
    assert failure(api.VM.assert_can_boot_here, fax, second)[:2] == ["VM_REQUIRES_SR", fax]
    assert failure(api.VM.assert_agile, fax)[0] == "VM_REQUIRES_SR"
    api.VM.assert_agile(ref_of("web-01"))


def test_maintenance_of_a_host(api: Any) -> None:
    host = api.host.get_by_name_label("xen-basel-3")[0]
    assert failure(api.host.reboot, host) == ["HOST_NOT_DISABLED"]
    api.host.disable(host)
    assert failure(api.host.reboot, host)[:3] == ["HOST_IN_USE", host, "vm"]
    assert failure(api.host.evacuate, host)[0] == "CANNOT_EVACUATE_HOST"
    stuck = api.host.get_vms_which_prevent_evacuation(host)
    for vm, reason in stuck.items():
        assert reason[0] == "VM_REQUIRES_SR"
        api.VM.hard_shutdown(vm)
    api.host.evacuate(host)
    assert api.host.get_resident_VMs(host) == api.VM.get_by_name_label("Control domain on host: xen-basel-3")
    api.host.shutdown(host)
    assert api.host_metrics.get_live(api.host.get_metrics(host)) is False
    api.host.power_on(host)
    assert api.host_metrics.get_live(api.host.get_metrics(host)) is True


def test_a_guest_that_never_shuts_down(lab: Lab, api: Any, ref_of: Ref) -> None:
    lab.world.vm_named("web-01").guest.ignores_shutdown = True
    assert failure(api.VM.clean_shutdown, ref_of("web-01"))[0] == "VM_SHUTDOWN_TIMEOUT"
    api.VM.shutdown(ref_of("web-01"))
    assert lab.world.vm_named("web-01").power is Power.HALTED


def test_a_full_storage(lab: Lab, api: Any, ref_of: Ref) -> None:
    storage = next(one for one in lab.world.storages.values() if one.name == "Basel NFS")
    storage.used_bytes = storage.size_bytes
    assert failure(api.VM.snapshot, ref_of("web-01"), "x")[0] == "SR_FULL"


def test_hostile_names_come_through_unharmed(lab: Lab, api: Any) -> None:
    from hvconsole.lab.estate import HOSTILE_NAMES, add_hostile_vms

    add_hostile_vms(lab.world, next(iter(lab.world.sites)))
    names = {record["name_label"] for record in api.VM.get_all_records().values()}
    assert set(HOSTILE_NAMES) <= names


def test_dates_come_in_basic_form(api: Any, ref_of: Ref) -> None:
    written = api.VM.get_snapshot_time(ref_of("web-01"))
    assert isinstance(written, xmlrpc.client.DateTime)
    assert written.value == "19700101T00:00:00Z"


@pytest.mark.parametrize("name", ["db-01", "erp-app", "web-01"])
def test_the_estates_snapshot_trees(api: Any, ref_of: Ref, name: str) -> None:
    vm = ref_of(name)
    snapshots = api.VM.get_snapshots(vm)
    assert snapshots
    assert api.VM.get_parent(vm) in snapshots


def test_the_pool_writes_down_what_happens(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    api.VM.clean_shutdown(vm)
    api.VM.start(vm, False, False)
    records = api.message.get_all_records().values()
    assert [record["name"] for record in records] == ["VM_SHUTDOWN", "VM_STARTED"]
    assert {record["obj_uuid"] for record in records} == {api.VM.get_uuid(vm)}
    since = xmlrpc.client.DateTime("20000101T00:00:00Z")
    assert len(api.message.get_since(since)) == 2
    assert len(api.message.get("VM", api.VM.get_uuid(vm), since)) == 2


def test_guest_metrics_and_consoles_are_new_after_a_start(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    before = api.VM.get_record(vm)
    api.VM.clean_shutdown(vm)
    assert api.VM.get_guest_metrics(vm) == before["guest_metrics"]  # they stay after a shutdown
    api.VM.start(vm, False, False)
    after = api.VM.get_record(vm)
    assert after["guest_metrics"] != before["guest_metrics"]
    assert after["consoles"] != before["consoles"]
    assert failure(api.VM_guest_metrics.get_record, before["guest_metrics"])[0] == "HANDLE_INVALID"


def test_a_card_is_disconnected_and_connected(lab: Lab, api: Any, ref_of: Ref) -> None:
    address = lab.world.vm_named("web-01").nics[0].addresses[0]
    card = api.VM.get_VIFs(ref_of("web-01"))[0]
    api.VIF.unplug(card)
    assert api.VIF.get_currently_attached(card) is False
    assert not lab.world.answers(address)
    api.VIF.plug(card)
    assert lab.world.answers(address)


def test_filters_of_records(api: Any) -> None:
    guests_that_run = 'field "power_state" = "Running" and not (field "is_control_domain" = "true")'
    running = api.VM.get_all_records_where(guests_that_run)
    assert running
    assert {record["power_state"] for record in running.values()} == {"Running"}
    assert not any(record["is_control_domain"] for record in running.values())
    assert len(api.VM.get_all_records_where("true")) == len(api.VM.get_all())
    assert api.VM.get_all_records_where("false or field 'name_label' = 'nobody'") == {}
    for bad in ("", "field", "(true", 'field "a" =', "true true", "%", "(" * 200):
        assert failure(api.VM.get_all_records_where, bad)[0] == "INVALID_VALUE"


def test_a_machine_moves_with_its_local_disk(api: Any, ref_of: Ref) -> None:
    vm = ref_of("kernel-debug")
    api.VM.unpause(vm)
    target = api.host.get_by_name_label("xen-basel-1")[0]
    assert failure(api.VM.pool_migrate, vm, target, {"live": "true"})[0] == "VM_REQUIRES_SR"
    network = api.network.get_by_name_label("Production LAN")[0]
    place = api.host.migrate_receive(target, network, {})
    assert failure(api.VM.assert_can_migrate, vm, place, True, {}, {}, {})[0] == "VM_REQUIRES_SR"
    disk = api.VBD.get_VDI(api.VM.get_VBDs(vm)[0])
    sr = api.SR.get_by_name_label("Basel NFS")[0]
    assert api.VM.migrate_send(vm, place, True, {disk: sr}, {}, {}) == vm
    assert api.VM.get_resident_on(vm) == target
    assert api.VDI.get_SR(disk) == sr
