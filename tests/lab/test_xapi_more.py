"""Storage, measurements and small objects, as XenCenter, Xen Orchestra and scripts make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.lab.conftest import failure


class TestStorage:
    def test_a_shared_storage_is_made_on_every_host_and_given_up(self, api: Any) -> None:
        config = {"server": "nas", "serverpath": "/export"}
        made = api.SR.create(api.host.get_all()[0], config, "0", "new <sr>", "why", "nfs", "", True, {})
        record = api.SR.get_record(made)
        assert (record["name_label"], record["type"], record["shared"]) == ("new <sr>", "nfs", True)
        assert len(record["PBDs"]) == len(api.host.get_all())
        assert failure(api.SR.forget, made) == ["SR_HAS_PBD", made]
        for pbd in record["PBDs"]:
            api.PBD.unplug(pbd)
        host = api.PBD.get_host(api.PBD.create({"host": api.host.get_all()[0], "SR": made, "device_config": config}))
        assert host == api.host.get_all()[0]
        api.SR.scan(made)

    def test_what_storages_need(self, api: Any) -> None:
        host = api.host.get_all()[0]
        create = api.SR.create
        assert failure(create, host, {}, "0", "x", "", "nfs", "", True)[0] == "SR_BACKEND_FAILURE_90"
        assert failure(create, host, {}, "0", "x", "", "floppy", "", True) == ["SR_UNKNOWN_DRIVER", "floppy"]
        assert failure(api.SR.probe, host, {}, "floppy") == ["SR_UNKNOWN_DRIVER", "floppy"]
        assert "<SRlist/>" in api.SR.probe(host, {"server": "nas"}, "nfs", {})

    def test_a_storage_that_is_introduced_has_no_host(self, api: Any) -> None:
        made = api.SR.introduce("6f5e9c0e-0000-4000-8000-000000000001", "found", "", "nfs", "", True, {})
        assert api.SR.get_PBDs(made) == []
        taken = api.SR.get_uuid(made)
        assert failure(api.SR.introduce, taken, "again", "", "nfs", "", True) == ["SR_UUID_EXISTS", taken]
        pbd = api.PBD.create({"host": api.host.get_all()[0], "SR": made, "device_config": {"server": "nas"}})
        assert api.PBD.get_currently_attached(pbd) is False
        assert failure(api.PBD.create, {"host": api.host.get_all()[0], "SR": made}) == ["SR_DEVICE_IN_USE"]
        api.PBD.plug(pbd)
        assert failure(api.PBD.destroy, pbd)[0] == "OPERATION_NOT_ALLOWED"
        api.PBD.unplug(pbd)
        api.SR.destroy(made)
        assert failure(api.SR.get_uuid, made)[0] == "HANDLE_INVALID"


class TestMeasurements:
    def test_one_at_a_time(self, api: Any, ref_of: Callable[[str], str]) -> None:
        vm, host = ref_of("web-01"), api.host.get_all()[0]
        names = {one["name_label"] for one in api.VM.get_data_sources(vm)}
        assert {"cpu0", "memory"} <= names
        assert api.VM.query_data_source(vm, "memory") == 4 * 2**30
        assert api.host.query_data_source(host, "memory_total_kib") > 0
        api.VM.record_data_source(vm, "cpu0")
        assert failure(api.VM.query_data_source, vm, "nonsense") == ["INVALID_VALUE", "data_source", "nonsense"]
        assert failure(api.host.forget_data_source_archives, host, "nonsense")[0] == "INVALID_VALUE"


class TestRows:
    def test_secrets_and_appliances_come_and_go(self, api: Any) -> None:
        made = api.secret.create({"value": "hush", "other_config": {"a": "b"}})
        assert api.secret.get_value(made) == "hush"
        assert api.secret.get_by_uuid(api.secret.get_uuid(made)) == made
        api.secret.destroy(made)
        assert failure(api.secret.get_value, made)[0] == "HANDLE_INVALID"
        assert failure(api.secret.create, {"other_config": {}}) == ["FIELD_TYPE_ERROR", "value"]
        group = api.VM_appliance.create({"name_label": "group", "name_description": ""})
        assert api.VM_appliance.get_name_label(group) == "group"
        picture = api.blob.create("image/png")
        assert api.blob.get_mime_type(picture) == "image/png"
        api.blob.destroy(picture)
