"""The one table: complete, consistent, and honest about why something can't be done."""

from dataclasses import replace

import pytest

from hvconsole.backends.base import Capability, CreateVm, Hypervisor, Secret, TaskContext
from hvconsole.clock import SystemClock
from hvconsole.errors import InvalidInput, NotFound
from hvconsole.model import Host, Inventory, ObjectId, Pool, ServerInfo, Snapshot, Verb, Vm, VmKind
from hvconsole.operation import numbered
from hvconsole.operations import (
    OPERATIONS,
    SERVER_OBJECT,
    ArgumentKind,
    Scope,
    find_vms,
    operation,
    plain_vms,
    subject_name,
    why_not,
)

VM = ObjectId("vm-1")
ALL = ~Capability.NONE


def info(read_only: str = "") -> ServerInfo:
    return ServerInfo(
        platform="x", product="Server", version="1", address="addr", port=1, user="u", read_only=read_only
    )


def world(*vms: Vm, read_only: str = "") -> Inventory:
    return Inventory(server=info(read_only), taken=SystemClock().now(), vms={vm.id: vm for vm in vms})


class Recorder:
    """Stands in for a server: remembers which verb reached it with what."""

    def __getattr__(self, name):
        assert hasattr(Hypervisor, name), f"the contract has no {name}"

        def call(*args, **kwargs):
            self.call = (name, args, kwargs)

        return call


GIVEN = {
    "name": "new",
    "description": "d",
    "host": "h",
    "snapshot": "s",
    "to": "f.xva",
    "from": "f.xva",
    "spec": CreateVm(name="n"),
    "old": Secret(password="a"),
    "new": Secret(password="b"),
    "address": "10.0.0.1",
}


def test_every_verb_has_one_row_except_the_variants_of_snapshot():
    assert {row.verb for row in OPERATIONS} == set(Verb) - {Verb.SNAPSHOT_MEMORY, Verb.SNAPSHOT_QUIESCE}
    assert len({row.verb for row in OPERATIONS}) == len(OPERATIONS)


def test_no_two_rows_share_a_shortcut():
    keys = [row.shortcut for row in OPERATIONS if row.shortcut]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.verb)
def test_every_row_reaches_the_contract(row):
    server = Recorder()
    row.run(server, VM, GIVEN, TaskContext())
    assert server.call[0]


@pytest.mark.parametrize("row", [r for r in OPERATIONS if any(a.required for a in r.arguments)], ids=lambda r: r.verb)
def test_a_missing_argument_is_refused_before_anything_is_sent(row):
    with pytest.raises(InvalidInput):
        row.run(Recorder(), VM, {}, TaskContext())


@pytest.mark.parametrize("row", [r for r in OPERATIONS if r.one_of], ids=lambda r: r.verb)
def test_one_of_several_arguments_is_enough_but_none_is_refused(row):
    assert set(row.one_of) <= {a.name for a in row.arguments if not a.required}
    with pytest.raises(InvalidInput):
        row.run(Recorder(), VM, {}, TaskContext())
    for name in row.one_of:
        row.run(Recorder(), VM, {name: "x"}, TaskContext())


def test_migrating_names_what_moves():
    server = Recorder()
    operation(Verb.MIGRATE).run(server, VM, {"host": "h"}, TaskContext())
    assert (server.call[1][:2], server.call[2]) == ((VM, "h"), {"storage_id": None})
    operation(Verb.MIGRATE).run(server, VM, {"storage": "s"}, TaskContext())
    assert (server.call[1][:2], server.call[2]) == ((VM, None), {"storage_id": "s"})


@pytest.mark.parametrize("row", [r for r in OPERATIONS if r.destructive], ids=lambda r: r.verb)
def test_what_destroys_asks_first_with_its_verb_in_the_button(row):
    assert row.question is not None
    assert row.question.button not in ("OK", "Yes")


def test_control_characters_are_refused_before_sending():
    for verb in (Verb.SNAPSHOT, Verb.RENAME, Verb.CLONE):
        with pytest.raises(InvalidInput, match=r"U\+0007"):
            operation(verb).run(Recorder(), VM, {"name": "a\x07"}, TaskContext())
    with pytest.raises(InvalidInput, match=r"U\+D800"):
        operation(Verb.CREATE).run(Recorder(), VM, {"spec": CreateVm(name="\ud800")}, TaskContext())


def test_reasons_come_in_the_order_a_user_can_act_on():
    suspend = operation(Verb.SUSPEND)
    web = Vm(id=VM, uuid="u", name="web", refusals={Verb.SUSPEND: "No tools."})
    assert why_not(suspend, None, VM, ALL) == "Not connected to this server."
    plain = Vm(id=VM, uuid="u", name="web")
    assert why_not(suspend, world(plain), VM, Capability.NONE) == "Server doesn't offer this here."
    assert why_not(suspend, world(web), VM, Capability.NONE) == "No tools."
    assert why_not(suspend, world(web, read_only="Free licence."), VM, ALL) == "Free licence."
    assert why_not(suspend, world(), VM, ALL) == "It no longer exists on the server."
    assert why_not(suspend, world(web), VM, ALL) == "No tools."
    assert why_not(operation(Verb.START), world(web), VM, ALL) is None
    assert why_not(operation(Verb.CREATE), world(web), SERVER_OBJECT, ALL) is None


def test_snapshot_operations_need_a_snapshot():
    web = Vm(id=VM, uuid="u", name="web")
    revert = operation(Verb.REVERT)
    assert why_not(revert, world(web), VM, ALL) == "This VM has no snapshots."
    with_one = Vm(id=VM, uuid="u", name="web", snapshots=(Snapshot(id=ObjectId("s"), name="before"),))
    assert why_not(revert, world(with_one), VM, ALL) is None
    assert revert.scope is Scope.SNAPSHOT


def test_a_vm_is_found_by_uuid_in_any_case_or_by_exact_name():
    web = Vm(id=VM, uuid="AB-CD", name="web")
    twin = Vm(id=ObjectId("vm-2"), uuid="EF", name="web")
    template = Vm(id=ObjectId("t"), uuid="T", name="web", kind=VmKind.TEMPLATE)
    inventory = world(web, twin, template)
    assert find_vms(inventory, "ab-cd") == (web,)
    assert find_vms(inventory, "web") == (web, twin)
    assert find_vms(inventory, "t") == (template,)
    assert plain_vms(inventory) == (web, twin)
    with pytest.raises(NotFound, match="no VM “Web”"):
        find_vms(inventory, "Web")


def test_subjects_are_named_as_on_the_server():
    web = Vm(id=VM, uuid="u", name="web")
    assert subject_name(world(web), operation(Verb.START), VM) == "web"
    assert subject_name(world(web), operation(Verb.CREATE), SERVER_OBJECT) == "addr"


def test_what_is_made_is_told_apart_by_its_own_name():
    create, fetch = operation(Verb.CREATE), operation(Verb.IMPORT)
    named = [subject_name(world(), create, SERVER_OBJECT, {"spec": CreateVm(name=f"web-0{n}")}) for n in (1, 2)]
    assert named == ["web-01", "web-02"]
    assert subject_name(world(), fetch, SERVER_OBJECT, {"from": "/srv/old/mail.ova", "name": "mail-2"}) == "mail-2"
    assert subject_name(world(), fetch, SERVER_OBJECT, {"from": "/srv/old/mail.ova"}) == "mail.ova"


def test_passwords_are_asked_for_as_passwords():
    kinds = {a.name: a.kind for a in operation(Verb.CHANGE_PASSWORD).arguments}
    assert set(kinds.values()) == {ArgumentKind.PASSWORD}
    with pytest.raises(InvalidInput):
        operation(Verb.CHANGE_PASSWORD).run(Recorder(), VM, {"old": "plain", "new": "text"}, TaskContext())


def test_a_dialog_opens_only_for_what_must_be_known():
    assert operation(Verb.SNAPSHOT).asks
    assert not operation(Verb.START).asks


def test_what_the_whole_server_refuses_comes_from_its_pools():
    pool = Pool(id=ObjectId("p"), uuid="p", name="prod", refusals={Verb.BECOME_MASTER: "It isn't in emergency mode."})
    here = replace(world(), pools={pool.id: pool})
    assert why_not(operation(Verb.BECOME_MASTER), here, SERVER_OBJECT, ALL) == "It isn't in emergency mode."
    assert why_not(operation(Verb.IMPORT), here, SERVER_OBJECT, ALL) is None


def test_a_licence_that_only_reads_is_the_reason_for_everything():
    here = world(Vm(id=VM, uuid="u", name="web"), read_only="The free licence only allows reading.")
    for verb in (Verb.RENAME, Verb.SUSPEND):
        assert why_not(operation(verb), here, VM, ALL) == "The free licence only allows reading."
        assert why_not(operation(verb), here, VM, Capability.NONE) == "The free licence only allows reading."


def test_a_server_is_no_object_in_its_own_inventory():
    assert subject_name(world(), operation(Verb.IMPORT), SERVER_OBJECT) == "addr"


def test_hosts_are_found_and_told_apart_from_vms():
    host = Host(id=ObjectId("h"), uuid="h", name="node", refusals={Verb.HOST_REBOOT: "VMs run there."})
    here = replace(world(), hosts={host.id: host})
    assert why_not(operation(Verb.HOST_REBOOT), here, host.id, ALL) == "VMs run there."
    assert why_not(operation(Verb.START), here, host.id, ALL) == "It no longer exists on the server."
    assert subject_name(here, operation(Verb.HOST_REBOOT), host.id) == "node"


def test_several_vms_get_a_counter_in_their_name():
    names = [spec.name for spec in numbered(CreateVm(name="web-#-prod"), 3)]
    assert names == ["web-01-prod", "web-02-prod", "web-03-prod"]
    assert [s.name for s in numbered(CreateVm(name="web"), 2)] == ["web-01", "web-02"]
    assert [s.name for s in numbered(CreateVm(name="web"), 1)] == ["web"]
