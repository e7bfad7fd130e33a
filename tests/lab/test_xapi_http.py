"""Export, import, statistics and screenshots over HTTP."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from hvconsole.lab import Lab
from tests.lab.conftest import Clients

Web = Callable[..., tuple[int, Any, bytes]]
Ref = Callable[[str], str]


@pytest.fixture
def session_id(clients: Clients) -> str:
    return str(clients.session()._session)


def export(web: Web, api: Any, session_id: str, ref: str, **options: str) -> tuple[int, bytes, dict[str, Any]]:
    task = api.task.create("export", "")
    more = "".join(f"&{name}={value}" for name, value in options.items())
    status, _, body = web("GET", f"/export?ref={ref}&session_id={session_id}&task_id={task}{more}")
    return status, body, api.task.get_record(task)


def imported(web: Web, api: Any, session_id: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    task = api.task.create("import", "")
    status, _, _ = web("PUT", f"/import?session_id={session_id}&task_id={task}", body, headers=headers)
    return status, api.task.get_record(task)


def test_a_machine_goes_out_and_comes_back(web: Web, api: Any, session_id: str, ref_of: Ref) -> None:
    status, body, task = export(web, api, session_id, ref_of("web-old"))
    assert (status, task["status"]) == (200, "success")
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        assert tar.getnames()[0] == "ova.xml"
    before = set(api.VM.get_all())
    status, task = imported(web, api, session_id, body)
    assert (status, task["status"]) == (200, "success")
    (made,) = set(api.VM.get_all()) - before
    assert made in task["result"]
    source, copy = api.VM.get_record(ref_of("web-old")), api.VM.get_record(made)
    for field in ("name_label", "name_description", "VCPUs_max", "memory_static_max"):
        assert copy[field] == source[field]
    assert len(copy["VBDs"]) == len(source["VBDs"])
    assert copy["current_operations"] == {}


def test_compressed_archives(web: Web, api: Any, session_id: str, ref_of: Ref) -> None:
    _, packed, _ = export(web, api, session_id, ref_of("web-old"), use_compression="true")
    _, plain, _ = export(web, api, session_id, ref_of("web-old"))
    assert gzip.decompress(packed) == plain
    _, zstandard, _ = export(web, api, session_id, ref_of("web-old"), use_compression="zstd")
    assert zstandard[:4] == b"\x28\xb5\x2f\xfd"
    assert imported(web, api, session_id, packed)[1]["status"] == "success"


def test_a_running_machine_is_not_exported(web: Web, api: Any, session_id: str, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    status, _, task = export(web, api, session_id, vm)
    assert (status, task["status"]) == (500, "failure")
    assert task["error_info"] == ["VM_BAD_POWER_STATE", vm, "halted, suspended", "running"]
    status, _, task = export(web, api, session_id, api.VM.get_snapshots(vm)[0])
    assert (status, task["status"]) == (200, "success")


def test_an_export_is_sent_to_the_host_that_sees_the_disks(lab: Lab, web: Web, session_id: str, ref_of: Ref) -> None:
    path = f"/export?ref={ref_of('sandbox')}&session_id={session_id}"
    status, headers, _ = web("GET", path)
    assert status == 302
    assert headers["location"] == f"https://{lab.servers[0].members[1]}{path}"
    assert web("GET", path, member=1)[0] == 200


def test_chunked_uploads_are_refused(web: Web, api: Any, session_id: str) -> None:
    status, task = imported(web, api, session_id, iter([b"x"]), **{"Transfer-Encoding": "chunked"})
    assert (status, task["error_info"]) == (500, ["IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"])


def test_damaged_archives_leave_nothing(web: Web, api: Any, session_id: str, ref_of: Ref) -> None:
    before = set(api.VM.get_all()), set(api.VDI.get_all())
    _, body, _ = export(web, api, session_id, ref_of("web-old"))
    for damaged in (body[:2_000_000], b"junk" * 1_000, b"", b"\x1f\x8b" + b"junk" * 100):
        status, task = imported(web, api, session_id, damaged)
        assert (status, task["status"]) == (500, "failure")
        assert task["error_info"][0].startswith("IMPORT_ERROR")
    assert (set(api.VM.get_all()), set(api.VDI.get_all())) == before


def test_an_archive_without_description(web: Web, api: Any, session_id: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("disk"), io.BytesIO())
    _, task = imported(web, api, session_id, file.getvalue())
    assert task["error_info"] == ["IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", "disk"]


def test_cancelling_an_export(lab: Lab, web: Web, api: Any, session_id: str, clients: Clients, ref_of: Ref) -> None:
    lab.world.timing.copy = 30.0
    task = api.task.create("export", "")
    other = clients.session().xenapi
    done: list[tuple[int, Any, bytes]] = []
    path = f"/export?ref={ref_of('web-old')}&session_id={session_id}&task_id={task}"
    thread = threading.Thread(target=lambda: done.append(web("GET", path)))
    thread.start()
    token = ""
    while "cancel" not in other.task.get_allowed_operations(task):
        token = getattr(other.event, "from")(["task"], token, 5.0)["token"]
    other.task.cancel(task)
    thread.join(10)
    assert other.task.get_status(task) == "cancelled"
    assert done[0][0] == 200  # the truncated file looks complete: only the task tells


def test_who_may_use_the_handlers(lab: Lab, web: Web, session_id: str) -> None:
    path = "/rrd_updates?start=0&json=true"
    assert web("GET", path)[0] == 401
    assert web("GET", f"{path}&session_id=OpaqueRef:x")[0] == 401
    assert web("GET", f"{path}&session_id={session_id}", member=2)[0] == 200
    assert web("GET", path, headers={"Cookie": f"session_id={session_id}"})[0] == 200
    for password, expected in ((lab.servers[0].password, 200), ("wrong", 401)):
        word = base64.b64encode(f"root:{password}".encode()).decode()
        assert web("GET", path, headers={"Authorization": f"Basic {word}"})[0] == expected
    assert web("GET", "/nothing")[0] == 404


def test_statistics_in_both_forms(web: Web, session_id: str) -> None:
    start = int(time.time()) - 60
    query = f"/rrd_updates?session_id={session_id}&start={start}&interval=5&cf=AVERAGE&host=true"
    answer = json.loads(web("GET", f"{query}&json=true")[2])
    meta, data = answer["meta"], answer["data"]
    assert meta["step"] == 5
    assert meta["columns"] == len(meta["legend"]) == len(data[0]["values"])
    assert 11 <= meta["rows"] == len(data) <= 13
    assert data[0]["t"] > data[-1]["t"]
    assert any(":memory_free_kib" in entry for entry in meta["legend"])
    root = ElementTree.fromstring(web("GET", query, headers={"Accept": "text/xml"})[2])
    assert root.tag == "xport"
    assert [entry.text for entry in root.iter("entry")] == meta["legend"]
    earlier = json.loads(web("GET", f"/rrd_updates?session_id={session_id}&start=-3600&interval=60&json=true")[2])
    assert earlier["meta"]["step"] == 60
    assert not any(":host:" in entry for entry in earlier["meta"]["legend"])


def test_whole_archives_of_a_vm_and_of_a_host(web: Web, api: Any, session_id: str, ref_of: Ref) -> None:
    uuid = api.VM.get_uuid(ref_of("web-01"))
    for path, column in ((f"/vm_rrd?uuid={uuid}", "cpu0"), ("/host_rrd?", "memory_free_kib")):
        status, headers, body = web("GET", f"{path}&session_id={session_id}")
        assert (status, headers["content-type"]) == (200, "text/xml")
        root = ElementTree.fromstring(body)
        names = [name.text for name in root.iterfind("ds/name")]
        assert column in names
        sizes = [(rra.findtext("pdp_per_row"), len(rra.findall("database/row"))) for rra in root.iterfind("rra")]
        assert sizes == [("1", 120), ("12", 120), ("720", 168), ("17280", 366)]
        assert all(len(row) == len(names) for row in root.iter("row"))
        tree = json.loads(web("GET", f"{path}&session_id={session_id}&json=true")[2])
        assert [source["name"] for source in tree["ds"]] == names
    assert web("GET", f"/vm_rrd?uuid=nobody&session_id={session_id}")[0] == 404
    assert web("GET", f"/vm_rrd?uuid={uuid}&session_id={session_id}", member=1)[0] == 404


def test_a_picture_of_the_screen(lab: Lab, web: Web, api: Any, session_id: str, ref_of: Ref) -> None:
    uuid = api.VM.get_uuid(ref_of("web-01"))
    status, headers, body = web("GET", f"/vncsnapshot?uuid={uuid}&session_id={session_id}")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(body)) as picture:
        assert picture.size == (720, 400)
    halted = api.VM.get_uuid(ref_of("web-old"))
    assert web("GET", f"/vncsnapshot?uuid={halted}&session_id={session_id}")[0] == 404
    assert web("GET", f"/vncsnapshot?uuid={uuid}&session_id={session_id}", member=1)[0] == 404
    console = api.console.get_uuid(api.VM.get_consoles(ref_of("web-01"))[0])
    assert web("GET", f"/console?uuid={console}&session_id={session_id}")[0] == 503
