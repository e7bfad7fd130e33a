"""event.from with tokens, the legacy events, and tasks that end with their status last."""

from __future__ import annotations

import threading
import time
import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

from hvconsole.lab import Lab
from hvconsole.lab.faults import Effect, FaultRule
from tests.lab.conftest import Clients, failure

Ref = Callable[[str], str]


def events(api: Any, classes: list[str], token: str, timeout_s: float = 5.0) -> dict[str, Any]:
    batch: dict[str, Any] = getattr(api.event, "from")(classes, token, timeout_s)
    return batch


def test_the_first_batch_is_everything(api: Any) -> None:
    batch = events(api, ["*"], "")
    assert {event["operation"] for event in batch["events"]} == {"add"}
    vms = [event for event in batch["events"] if event["class"] == "vm"]
    assert batch["valid_ref_counts"]["vm"] == len(vms) == len(api.VM.get_all())
    assert isinstance(batch["valid_ref_counts"]["vm"], int)
    assert vms[0]["snapshot"] == api.VM.get_record(vms[0]["ref"])
    assert len(batch["token"]) == 41
    assert vms[0]["timestamp"] == "0.0"


def test_nothing_new_ends_with_the_time_limit(api: Any) -> None:
    token = events(api, ["vm"], "")["token"]
    again = events(api, ["vm"], token, 0.05)
    assert again["events"] == []


def test_changes_are_merged_and_ordered(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    token = events(api, ["*"], "")["token"]
    api.VM.pause(vm)
    api.VM.unpause(vm)
    api.VM.set_name_label(vm, "twice changed")
    made = api.VM.clone(ref_of("web-old"), "short")
    api.VM.set_name_label(made, "clone")
    gone = api.VM.clone(ref_of("web-old"), "gone at once")
    api.VM.destroy(gone)
    console_gone = api.VM.get_consoles(ref_of("web-02"))
    api.VM.hard_shutdown(ref_of("web-02"))
    batch = events(api, ["VM", "console"], token)
    mine = [event for event in batch["events"] if event["ref"] in (vm, made, gone)]
    assert {(event["ref"], event["operation"]) for event in mine} == {(vm, "mod"), (made, "add")}
    assert [event["operation"] for event in batch["events"]] == sorted(
        (event["operation"] for event in batch["events"]), key=["add", "mod", "del"].index
    )
    deleted = [event for event in batch["events"] if event["operation"] == "del"]
    assert [event["ref"] for event in deleted] == console_gone
    assert "snapshot" not in deleted[0]


def test_one_object_can_be_watched(api: Any, ref_of: Ref) -> None:
    vm, other = ref_of("web-01"), ref_of("web-02")
    token = events(api, [f"vm/{vm}"], "")["token"]
    api.VM.set_name_description(other, "x")
    api.VM.set_name_description(vm, "x")
    assert [event["ref"] for event in events(api, [f"vm/{vm}"], token)["events"]] == [vm]


def test_waiting_is_ended_by_a_change(api: Any, clients: Clients, ref_of: Ref) -> None:
    token = events(api, ["vm"], "")["token"]
    other = clients.session().xenapi
    vm = ref_of("web-01")
    seen: list[dict[str, Any]] = []
    waiter = threading.Thread(target=lambda: seen.append(events(api, ["vm"], token, 30.0)))
    waiter.start()
    other.VM.set_name_label(vm, "changed meanwhile")
    waiter.join(10)
    assert seen[0]["events"][0]["snapshot"]["name_label"] == "changed meanwhile"


def test_logging_out_wakes_the_waiter(clients: Clients) -> None:
    session = clients.session()
    token = events(session.xenapi, ["vm"], "")["token"]
    ended: list[Any] = []
    session_ref = session._session
    waiter = threading.Thread(
        target=lambda: ended.append(getattr(session.event, "from")(session_ref, ["vm"], token, 30.0))
    )
    waiter.start()
    other = clients.session(login=False)
    other.session.logout(session_ref)
    waiter.join(10)
    assert ended[0]["ErrorDescription"] == ["SESSION_INVALID", session_ref]


def test_bad_tokens_and_classes(api: Any) -> None:
    assert failure(events, api, ["vm"], "junk") == ["EVENT_FROM_TOKEN_PARSE_FAILURE", "junk"]
    assert failure(events, api, ["vm/"], "")[0] == "EVENT_SUBSCRIPTION_PARSE_FAILURE"
    assert events(api, ["no_such_class"], "", 0.01)["events"] == []


def test_old_deletions_are_forgotten_but_counted(lab: Lab, api: Any, ref_of: Ref) -> None:
    source = ref_of("web-old")
    made = [api.task.create(f"task {number}", "") for number in range(600)]
    batch = events(api, ["task"], "")
    for ref in made:
        api.task.destroy(ref)
    later = events(api, ["task"], batch["token"])
    assert 255 < len(later["events"]) < 512
    assert later["valid_ref_counts"]["task"] == len(api.task.get_all())
    assert source in api.VM.get_all()


def test_injection_gives_the_token_before(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    token = api.event.inject("VM", vm)
    batch = events(api, ["vm"], token)
    assert [(event["ref"], event["operation"]) for event in batch["events"]] == [(vm, "mod")]
    assert failure(api.event.inject, "VM", "OpaqueRef:x") == ["HANDLE_INVALID", "VM", "OpaqueRef:x"]
    assert failure(api.event.inject, "nothing", vm) == ["HANDLE_INVALID", "nothing", vm]


def test_legacy_events(api: Any, clients: Clients, ref_of: Ref) -> None:
    assert failure(api.event.next)[0] == "SESSION_NOT_REGISTERED"
    api.event.register(["VM"])
    clients.session().xenapi.VM.set_name_label(ref_of("web-01"), "legacy")
    first = api.event.next()[0]
    assert first["operation"] == "mod"
    assert first["snapshot"]["name_label"] == "legacy"
    assert first["obj_uuid"] == first["snapshot"]["uuid"]
    assert int(api.event.get_current_id()) >= int(first["id"])
    api.event.unregister(["VM"])


# ---- tasks -----------------------------------------------------------------------------------------------


def finished(api: Any, task: str) -> dict[str, Any]:
    token = ""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        batch = events(api, [f"task/{task}"], token, 5.0)
        token = batch["token"]
        for event in batch["events"]:
            if event["snapshot"]["status"] != "pending":
                record: dict[str, Any] = event["snapshot"]
                return record
    pytest.fail("the task does not end")


def test_a_task_carries_its_result_as_xml(api: Any, ref_of: Ref) -> None:
    record = finished(api, api.Async.VM.snapshot(ref_of("web-01"), "s"))
    assert (record["status"], record["progress"], record["name_label"]) == ("success", 1.0, "Async.VM.snapshot")
    (ref,), _ = xmlrpc.client.loads(f"<params><param>{record['result']}</param></params>")
    assert api.VM.get_name_label(ref) == "s"
    assert finished(api, api.Async.VM.pause(ref_of("web-01")))["result"] == ""


def test_a_failed_task_says_why(api: Any, ref_of: Ref) -> None:
    vm = ref_of("web-01")
    record = finished(api, api.Async.VM.start(vm, False, False))
    assert record["status"] == "failure"
    assert record["error_info"] == ["VM_BAD_POWER_STATE", vm, "halted", "running"]


def test_wrong_arguments_fail_at_once(api: Any, ref_of: Ref) -> None:
    assert failure(api.Async.VM.start, ref_of("web-01"))[0] == "MESSAGE_PARAMETER_COUNT_MISMATCH"
    assert failure(api.Async.session.logout)[0] == "MESSAGE_METHOD_UNKNOWN"
    assert failure(api.Async.VM.get_record, ref_of("web-01"))[0] == "MESSAGE_METHOD_UNKNOWN"


def test_progress_cancel_and_what_the_vm_says_meanwhile(lab: Lab, api: Any, ref_of: Ref) -> None:
    lab.world.timing.snapshot = 20.0
    vm = ref_of("web-01")
    task = api.Async.VM.snapshot(vm, "never")
    token, record = "", {}
    while not record or record["progress"] == 0:
        batch = events(api, [f"task/{task}"], token, 5.0)
        token = batch["token"]
        record = batch["events"][-1]["snapshot"] if batch["events"] else record
    assert (record["status"], record["allowed_operations"]) == ("pending", ["cancel"])
    assert api.VM.get_current_operations(vm) == {task: "snapshot"}
    assert "clean_shutdown" not in api.VM.get_allowed_operations(vm)
    refused = failure(api.VM.suspend, vm)
    assert refused == ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, "snapshot", task]
    api.task.cancel(task)
    record = finished(api, task)
    assert (record["status"], record["error_info"][0]) == ("cancelled", "TASK_CANCELLED")
    assert api.VM.get_current_operations(vm) == {}
    assert failure(api.task.cancel, task)[0] == "OPERATION_NOT_ALLOWED"
    api.task.destroy(task)
    assert failure(api.task.get_record, task)[0] == "HANDLE_INVALID"


def test_a_hard_shutdown_cancels_what_is_under_way(lab: Lab, api: Any, clients: Clients, ref_of: Ref) -> None:
    lab.world.timing.suspend = 20.0
    vm = ref_of("web-01")
    task = api.Async.VM.suspend(vm)
    token = ""
    while not api.VM.get_current_operations(vm):
        token = events(api, ["vm"], token, 5.0)["token"]
    clients.session().xenapi.VM.hard_shutdown(vm)
    assert finished(api, task)["status"] == "cancelled"
    assert api.VM.get_power_state(vm) == "Halted"


def test_a_client_makes_and_ends_tasks_of_its_own(api: Any) -> None:
    task = api.task.create("mine", "for a transfer")
    assert api.task.get_status(task) == "pending"
    api.task.set_progress(task, 0.5)
    assert api.task.get_progress(task) == 0.5
    api.task.add_to_other_config(task, "key", "value")
    api.task.set_status(task, "success")
    assert finished(api, task)["other_config"] == {"key": "value"}


# ---- faults as data --------------------------------------------------------------------------------------


def test_a_rule_makes_a_call_fail(lab: Lab, api: Any, ref_of: Ref) -> None:
    rule = lab.world.faults.add(
        FaultRule(
            method="VM.start", object="web-*", code="SR_BACKEND_FAILURE_46", params=("", "locked", ""), max_count=1
        )
    )
    assert failure(api.VM.start, ref_of("web-old"), False, False) == ["SR_BACKEND_FAILURE_46", "", "locked", ""]
    api.VM.start(ref_of("web-old"), False, False)
    assert rule.fired == 1


def test_a_reply_can_be_lost_after_the_work(lab: Lab, api: Any, ref_of: Ref) -> None:
    """And then the careless client does the work twice."""
    vm = ref_of("web-01")
    before = len(api.VM.get_snapshots(vm))
    lab.world.faults.add(FaultRule(method="VM.snapshot", effect=Effect.DROP_AFTER, max_count=1))
    api.VM.snapshot(vm, "lost reply")
    assert len(api.VM.get_snapshots(vm)) == before + 2


def test_a_reply_can_be_garbage(lab: Lab, api: Any) -> None:
    lab.world.faults.add(FaultRule(method="pool.get_all", effect=Effect.GARBAGE, body=b"<html>", max_count=1))
    with pytest.raises(Exception, match="element"):
        api.pool.get_all()
