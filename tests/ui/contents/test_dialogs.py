"""ui/dialogs: questions, errors, names and choices, answered with real clicks and keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from tkinter import ttk
from typing import Any

import pytest

from hvconsole.backends.base import Capability, Secret
from hvconsole.errors import CertificateError, HvError, LocalError, ToolsMissing
from hvconsole.model import Certificate, Disk, Emergency, PowerState, Verb
from hvconsole.operations import operation
from hvconsole.trust import validity_warning
from hvconsole.ui.dialogs.certificate import CertificateDialog, fingerprint_lines, rows
from hvconsole.ui.dialogs.confirm import ConfirmDialog, running_text, wording
from hvconsole.ui.dialogs.create import CreateDialog, check_size, parse_gib
from hvconsole.ui.dialogs.delete import DeleteDialog, disk_rows, path_end, what_goes
from hvconsole.ui.dialogs.error import ErrorDialog, ReasonsDialog
from hvconsole.ui.dialogs.files import ExportDialog, ImportDialog, check_path, file_name
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.dialogs.hosts import HostDialog, host_choices
from hvconsole.ui.dialogs.names import CloneDialog, RenameDialog, copy_name
from hvconsole.ui.dialogs.server import HostPowerDialog, PasswordDialog, PointToMasterDialog, password_problem
from hvconsole.ui.dialogs.snapshot import ChooseSnapshotDialog, SnapshotDialog, check_name
from hvconsole.ui.interfaces import ItemKind, Selection, Subject
from tests.ui.contents.conftest import Driver, press_when_open, texts
from tests.ui.stage import (
    HOSTILE,
    NOW,
    MemoryHypervisor,
    StageShell,
    item,
    oid,
    sample_inventory,
    select_vms,
    subjects,
    vm,
)

Until = Callable[..., None]


def of_vms(shell: StageShell, *ids: str) -> tuple[Subject, ...]:
    return subjects(shell.services, select_vms(*ids))


def of_host(shell: StageShell, host: str) -> tuple[Subject, ...]:
    return subjects(shell.services, Selection((item(ItemKind.HOST, host),)))


def of_server(shell: StageShell) -> Subject:
    return subjects(shell.services, Selection((item(ItemKind.SERVER),)))[0]


@pytest.fixture
def opened(until: Until) -> Any:
    """Show a dialog, wait until it can be seen; it is gone after the test."""
    shown: list[FormDialog] = []

    def show(dialog: FormDialog) -> Any:
        shown.append(dialog)
        dialog.open()
        until(lambda: bool(dialog.top.winfo_viewable()), "the dialog")
        # without a window manager the keyboard is where it is forced to
        dialog._first().focus_force()
        until(lambda: dialog.top.focus_displayof() is not None, "the keyboard")
        return dialog

    yield show
    for dialog in shown:
        dialog.destroy()


# ---- questions ----------------------------------------------------------------------------------------------


def test_one_vm_is_shut_down_with_one_click(shell: StageShell, opened: Any, driver: Driver) -> None:
    op = operation(Verb.SHUTDOWN)
    dialog = opened(ConfirmDialog(shell, op.question, op, of_vms(shell, "v1")))
    assert dialog.verb == "Shut down “web-frontend-01”"
    driver.click(dialog.button(dialog.verb))
    driver.until(lambda: dialog.closed)
    assert dialog.answer == dialog.verb


def test_escape_is_no(shell: StageShell, opened: Any, driver: Driver) -> None:
    op = operation(Verb.SHUTDOWN)
    dialog = opened(ConfirmDialog(shell, op.question, op, of_vms(shell, "v1")))
    dialog.top.focus_force()
    driver.key("Escape")
    driver.until(lambda: dialog.closed)
    assert dialog.answer is None


def test_return_does_what_a_harmless_button_says_but_never_what_a_destructive_one_says(
    shell: StageShell, opened: Any, driver: Driver
) -> None:
    op = operation(Verb.SHUTDOWN)
    dialog = opened(ConfirmDialog(shell, op.question, op, of_vms(shell, "v1")))
    driver.key("Return")
    driver.until(lambda: dialog.closed)
    assert dialog.answer == dialog.verb
    hard = operation(Verb.POWER_OFF)
    dialog = opened(ConfirmDialog(shell, hard.question, hard, of_vms(shell, "v1")))
    driver.key("Return")
    driver.until(lambda: dialog.closed)
    assert dialog.answer is None


def test_several_power_offs_need_their_number_typed(shell: StageShell, opened: Any, driver: Driver) -> None:
    op = operation(Verb.POWER_OFF)
    dialog = opened(ConfirmDialog(shell, op.question, op, of_vms(shell, "v1", "v2", "v8")))
    button = dialog.button("Power off 3 VMs")
    assert button.instate(["disabled"])
    dialog.typed.entry.focus_force()
    driver.type("2")
    assert button.instate(["disabled"])
    driver.key("BackSpace")
    driver.type("3")
    driver.until(lambda: not button.instate(["disabled"]))
    driver.click(button)
    driver.until(lambda: dialog.closed)
    assert dialog.answer == "Power off 3 VMs"
    assert not [t for t in texts(shell.root) if "‮" in t]


def test_several_harmless_ones_need_no_typing(shell: StageShell) -> None:
    op = operation(Verb.SHUTDOWN)
    assert op.question is not None
    assert wording(op.question, op, of_vms(shell, "v1", "v2")).must_type == ""


def test_maintenance_names_the_vms_that_run_on_the_host(shell: StageShell) -> None:
    assert running_text(of_host(shell, "h2")) == "3 VMs are running there: cluster-a, mail-gw and paused-thing."
    assert running_text(of_host(shell, "h3")) == "No VM is running there."
    assert running_text(of_vms(shell, "v1")) == ""


@pytest.mark.parametrize(
    ("verb", "one", "many"),
    [
        (Verb.ENTER_MAINTENANCE, "Put “xs-node-02” into maintenance", "Put 2 hosts into maintenance"),
        (Verb.HOST_REBOOT, "Restart “xs-node-02”", "Restart 2 hosts"),
        (Verb.HOST_SHUTDOWN, "Switch off “xs-node-02”", "Switch off 2 hosts"),
    ],
)
def test_buttons_about_hosts_are_sentences(shell: StageShell, verb: Verb, one: str, many: str) -> None:
    op = operation(verb)
    assert op.question is not None
    assert wording(op.question, op, of_host(shell, "h2")).button == one
    assert wording(op.question, op, (*of_host(shell, "h2"), *of_host(shell, "h3"))).button == many


def test_taking_over_a_pool_needs_the_hosts_address_typed(
    shell: StageShell, hv: MemoryHypervisor, until: Until
) -> None:
    emergency = Emergency(host_address="10.20.1.12", in_emergency_mode=True, cause="master away")
    hv.inventory = replace(hv.inventory, emergency=emergency)
    hv.changed.set()
    until(lambda: shell.services.connections.all()[0].emergency is emergency)
    op = operation(Verb.BECOME_MASTER)
    assert op.question is not None
    assert wording(op.question, op, (of_server(shell),)).must_type == "10.20.1.12"


# ---- errors and reasons -------------------------------------------------------------------------------------


def test_an_error_shows_the_servers_own_words_and_offers_the_hard_way(
    shell: StageShell, opened: Any, driver: Driver
) -> None:
    error = ToolsMissing("The guest has no tools.", "VM_LACKS_FEATURE ‮ [ref]")
    dialog = opened(ErrorDialog(shell, "Shut down web-01", error, operation(Verb.POWER_OFF)))
    shown = " ".join(texts(dialog.top))
    assert "The guest has no tools." in shown
    assert "VM_LACKS_FEATURE ⟨U+202E⟩ [ref]" in shown
    driver.click(dialog.button("Power off instead"))
    driver.until(lambda: dialog.closed)
    assert dialog.answer == "Power off instead"


def test_without_a_hard_way_there_is_only_close(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(ErrorDialog(shell, "Start", ToolsMissing("No.")))
    driver.key("Return")
    driver.until(lambda: dialog.closed)
    assert dialog.answer is None


def test_the_reasons_of_those_that_cannot_are_listed_in_full(shell: StageShell, opened: Any, driver: Driver) -> None:
    long = "The VM is suspended; " * 12
    refused = [("build-agent-3", "The VM is suspended."), (HOSTILE, long)]
    dialog = opened(ReasonsDialog(shell, operation(Verb.SUSPEND), of_vms(shell, "v1", "v2"), refused))
    x, y, _w, h = dialog.table.bbox("1")
    driver.click(dialog.table, x + 20, y + h // 2)
    driver.until(lambda: dialog.table.selection() == ("1",))
    assert str(dialog.reason.cget("text")).startswith("The VM is suspended; The VM is")
    driver.click(dialog.button("Suspend 2 VMs"))
    driver.until(lambda: dialog.closed)
    assert dialog.answer == "Suspend 2 VMs"


def test_when_none_can_the_table_only_informs(shell: StageShell, opened: Any) -> None:
    dialog = opened(ReasonsDialog(shell, operation(Verb.SUSPEND), (), [("a", "b"), ("c", "d")]))
    assert dialog.verb == ""


# ---- certificates -------------------------------------------------------------------------------------------


def certificate(digits: str, **more: Any) -> Certificate:
    return Certificate(host="10.20.1.11", port=443, sha256=digits * 16, subject="CN=xs", issuer="CN=xs", **more)


def test_a_first_certificate_is_accepted_by_a_click_only(shell: StageShell, opened: Any, driver: Driver) -> None:
    error = CertificateError("?", reason="unknown", presented=certificate("ab12"))
    dialog = opened(CertificateDialog(shell, "Production", error))
    assert fingerprint_lines("ab12" * 16) in texts(dialog.top)
    driver.key("Return")
    driver.until(lambda: dialog.closed)
    assert dialog.answer is None, "Return must not accept a certificate"
    dialog = opened(CertificateDialog(shell, "Production", error))
    driver.click(dialog.button("Accept and connect"))
    driver.until(lambda: dialog.closed)
    assert dialog.answer == "Accept and connect"


def test_a_changed_certificate_shows_old_beside_new_and_needs_a_tick(
    shell: StageShell, opened: Any, driver: Driver
) -> None:
    error = CertificateError("!", reason="changed", presented=certificate("ab12"), pinned=certificate("cd34"))
    dialog = opened(CertificateDialog(shell, "Production", error))
    shown = texts(dialog.top)
    assert fingerprint_lines("ab12" * 16, 8) in shown
    assert fingerprint_lines("cd34" * 16, 8) in shown
    assert any("pretending to be this server" in text for text in shown)
    button = dialog.button("Replace the certificate")
    driver.click(button)
    assert not dialog.closed
    driver.click(dialog.sure.widget, 10)
    driver.until(lambda: not button.instate(["disabled"]))
    driver.click(button)
    driver.until(lambda: dialog.closed)
    assert dialog.answer == "Replace the certificate"


def test_what_differs_between_two_certificates_is_marked() -> None:
    facts = rows(certificate("ab12"), certificate("cd34"))
    assert {row.label: row.differs for row in facts} == {
        "SHA-256": True,
        "Issued to": False,
        "Issued by": False,
        "Valid from": False,
        "Valid until": False,
    }
    assert validity_warning(certificate("aa", not_after=NOW.replace(year=2020)), NOW) == "It is out of date."
    assert "clocks" in validity_warning(certificate("aa", not_before=NOW.replace(year=2030)), NOW)


def test_only_first_and_changed_certificates_can_be_accepted_at_all(shell: StageShell, until: Until) -> None:
    answers: list[bool] = []
    press_when_open(shell.root, "Close")
    answers.append(shell.dialogs.certificate("x", CertificateError("Plain text.", reason="plaintext")))
    assert answers == [False]


# ---- snapshots ----------------------------------------------------------------------------------------------


def test_a_snapshot_gets_name_description_and_memory(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(SnapshotDialog(shell, of_vms(shell, "v1")))
    assert dialog.name.get().startswith("web-frontend-01 20")
    dialog.name.entry.focus_force()
    driver.key("ctrl+a")
    driver.type("before upgrade")
    driver.key("Tab")
    driver.type("line 1")
    driver.key("Return")
    driver.type("line 2")
    assert not dialog.closed, "Return inside the description makes a new line"
    driver.click(dialog.memory.widget, 10)
    driver.click(dialog.button("Take snapshot"))
    driver.until(lambda: dialog.closed)
    assert dialog.given == {
        "name": "before upgrade",
        "description": "line 1\nline 2",
        "memory": True,
        "quiesce": False,
    }


def test_memory_and_quiesce_exclude_each_other_and_greyed_options_say_why(
    shell: StageShell, opened: Any, driver: Driver
) -> None:
    dialog = opened(SnapshotDialog(shell, of_vms(shell, "v1")))
    driver.click(dialog.memory.widget, 10)
    driver.click(dialog.quiesce.widget, 10)
    driver.until(lambda: dialog.quiesce.get() and not dialog.memory.get())
    dialog.destroy()
    dialog = opened(SnapshotDialog(shell, of_vms(shell, "v2")))
    assert dialog.quiesce.widget.instate(["disabled"])
    assert "a quiesced snapshot needs them" in str(dialog.quiesce.note.cget("text"))


def test_an_empty_or_unsendable_name_keeps_the_button_grey(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(SnapshotDialog(shell, of_vms(shell, "v1")))
    dialog.name.entry.focus_force()
    driver.key("ctrl+a", "BackSpace")
    driver.until(lambda: dialog.button("Take snapshot").instate(["disabled"]))
    assert dialog.name.entry.instate(["invalid"])
    assert str(dialog.name.note.cget("text")) == "Enter a name."
    assert check_name("a\x07b")
    assert check_name("x" * 201)
    assert check_name("Ünïcode ✓ ‮ is sendable") is None


def test_a_server_without_memory_snapshots_says_so(shell: StageShell, hv: MemoryHypervisor, opened: Any) -> None:
    hv._capabilities &= ~Capability.SNAPSHOT_MEMORY
    dialog = opened(SnapshotDialog(shell, of_vms(shell, "v1")))
    assert dialog.memory.widget.instate(["disabled"])
    assert "XenServer doesn't offer snapshots with memory here." in texts(dialog.top)


def test_revert_offers_the_snapshots_newest_first(shell: StageShell, opened: Any) -> None:
    dialog = opened(ChooseSnapshotDialog(shell, operation(Verb.REVERT), of_vms(shell, "v1")))
    assert dialog.choice.get() == "s-c", "the one that the VM descends from is chosen"
    assert [key for key, _ in dialog.choice._options] == ["s-c", "s-b", "s-d", "s-a"]
    assert dialog.arguments() == {"snapshot": "s-c"}


def test_a_snapshot_selected_in_the_tree_is_taken_as_it_is(shell: StageShell, opened: Any) -> None:
    chosen = Selection((item(ItemKind.SNAPSHOT, "s-b", "v1"),))
    dialog = opened(ChooseSnapshotDialog(shell, operation(Verb.DELETE_SNAPSHOT), subjects(shell.services, chosen)))
    assert dialog.choice is None
    assert any("before-upgrade" in text for text in texts(dialog.top))
    assert dialog.arguments() == {"children": False}


# ---- deleting -----------------------------------------------------------------------------------------------


def test_disks_shared_with_others_stay_and_cd_drives_are_not_listed() -> None:
    found = disk_rows([sample_inventory().vms[oid("v9")]])
    assert [(r.disk.name, r.why_kept) for r in found] == [("System", ""), ("Quorum", "stays: also used by cluster-b")]


def test_a_disk_shared_only_among_the_deleted_goes_once() -> None:
    quorum = sample_inventory().vms[oid("v9")].disks[1]
    one = vm("a", "cluster-a", disks=(replace(quorum, shared_with=("cluster-b",)),))
    two = vm("b", "cluster-b", disks=(replace(quorum, shared_with=("cluster-a",)),))
    assert [(r.disk.id, r.why_kept) for r in disk_rows([one, two])] == [("shared", "")]


def test_the_sentence_counts_what_goes() -> None:
    one = sample_inventory().vms[oid("v1")]
    found = disk_rows([one])
    assert what_goes([one], found, frozenset()) == "2 disks (80.0 GiB) and 4 snapshots go for good."
    assert what_goes([vm("x", "x")], disk_rows([vm("x", "x")]), frozenset({oid("xd0"), oid("xd1")})) == (
        "No disks and no snapshots are deleted with it."
    )


def test_files_of_one_folder_can_be_told_apart(shell: StageShell, opened: Any) -> None:
    folder = "D:\\Hyper-V\\Virtual Hard Disks of the second cluster\\Accounting and payroll\\"
    disks = tuple(Disk(id=oid(f"d{n}"), name=f"{folder}ledger-{n}.vhdx") for n in range(2))
    (subject,) = of_vms(shell, "v5")
    dialog = opened(DeleteDialog(shell, [replace(subject, vm=vm("x", "x", disks=disks))]))
    assert [dialog.table.item(row, "text")[-13:] for row in dialog.table.get_children()] == [
        "ledger-0.vhdx",
        "ledger-1.vhdx",
    ]
    assert dialog.table.column("#0", "width") > 300
    assert path_end("a" * 100, 20) == "a" * 100
    assert path_end("C:\\" + "b" * 30, 20) == "…" + "b" * 19


def test_an_unticked_disk_is_kept(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(DeleteDialog(shell, of_vms(shell, "v5")))
    x, y, _w, h = dialog.table.bbox("1", "#0")
    driver.click(dialog.table, x + 18, y + h // 2)
    driver.until(lambda: str(dialog.summary.cget("text")).startswith("1 disk "))
    dialog.table.focus_force()
    dialog.table.focus("0")
    driver.key("space")
    driver.until(lambda: str(dialog.summary.cget("text")).startswith("No disks"))
    driver.key("space")
    driver.click(dialog.button("Delete “legacy-erp”"))
    driver.until(lambda: dialog.closed)
    assert dialog.given == {"keep_disks": ("v5d1",)}


def test_several_deletions_need_their_number_typed(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(DeleteDialog(shell, of_vms(shell, "v5", "v9")))
    assert dialog.button("Delete 2 VMs").instate(["disabled"])
    dialog.typed.entry.focus_force()
    driver.type("2")
    driver.until(lambda: not dialog.button("Delete 2 VMs").instate(["disabled"]))


# ---- hosts --------------------------------------------------------------------------------------------------


def test_a_host_that_cannot_take_the_vm_says_why() -> None:
    inventory = sample_inventory()
    choices = host_choices(inventory, [inventory.vms[oid("v6")]], Verb.MIGRATE)
    reasons = {c.host.name: c.why_not for c in choices}
    assert reasons == {
        "xs-node-01": "",
        "xs-node-02": "It runs there already.",
        "xs-node-03": "The host is in maintenance mode.",
    }
    halted = host_choices(inventory, [vm("x", "x", PowerState.HALTED, memory_bytes=64 * 1024**3)], Verb.START_ON)
    assert {c.host.name: c.why_not for c in halted}["xs-node-02"] == "Not enough free memory: 64.0 GiB needed."


def test_migrating_needs_a_host_that_can(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(HostDialog(shell, operation(Verb.MIGRATE), of_vms(shell, "v6")))
    button = dialog.button("Migrate “mail-gw”")
    assert not button.instate(["disabled"])
    x, y, _w, h = dialog.table.bbox("1")
    driver.click(dialog.table, x + 20, y + h // 2)
    driver.until(lambda: button.instate(["disabled"]))
    x, y, _w, h = dialog.table.bbox("0")
    driver.click(dialog.table, x + 20, y + h // 2)
    driver.until(lambda: not button.instate(["disabled"]))
    driver.click(button)
    driver.until(lambda: dialog.closed)
    assert dialog.given == {"host": "h1"}


def test_disks_move_to_another_storage_alone_or_along(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(HostDialog(shell, operation(Verb.MIGRATE), of_vms(shell, "v6")))
    button = dialog.button("Migrate “mail-gw”")
    assert dialog.storage.widget.get() == "Where the disks are now"
    assert [text for text in dialog.storage.widget["values"] if "free" in text] == [
        "NFS 1 · 2.4 TiB free", "Local storage · 180 GiB free"
    ]  # fmt: skip
    x, y, _w, h = dialog.table.bbox("stay")
    driver.click(dialog.table, x + 20, y + h // 2)
    driver.until(lambda: button.instate(["disabled"]))
    assert dialog.problem() == "Choose another host or another storage."
    dialog.storage.set("st1")
    dialog.refresh()
    assert dialog.problem() == "The present host can't reach the chosen storage."
    dialog.table.selection_set("0")
    assert dialog.problem() is None
    assert dialog.arguments() == {"host": "h1", "storage": "st1"}
    dialog.table.selection_set("stay")
    dialog.storage.set("st2")
    dialog.refresh()
    driver.until(lambda: not button.instate(["disabled"]))
    driver.click(button)
    driver.until(lambda: dialog.closed)
    assert dialog.given == {"storage": "st2"}


def test_no_storage_is_offered_where_disks_cannot_move(shell: StageShell, hv: MemoryHypervisor, opened: Any) -> None:
    hv._capabilities &= ~Capability.MIGRATE_STORAGE
    dialog = opened(HostDialog(shell, operation(Verb.MIGRATE), of_vms(shell, "v6")))
    assert dialog.storage is None
    assert not dialog.table.exists("stay")


def test_restarting_a_host_names_its_vms_and_asks_about_force(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(HostPowerDialog(shell, operation(Verb.HOST_REBOOT), of_host(shell, "h2")))
    assert any("cluster-a, mail-gw and paused-thing" in text for text in texts(dialog.top))
    driver.click(dialog.force.widget, 10)
    driver.click(dialog.button("Restart “xs-node-02”"))
    driver.until(lambda: dialog.closed)
    assert dialog.given == {"force": True}


# ---- names, files, new VMs ----------------------------------------------------------------------------------


def test_a_copy_gets_a_name_that_nobody_has() -> None:
    assert copy_name("web", ["web"]) == "web copy"
    assert copy_name("web", ["web copy", "web copy 2"]) == "web copy 3"


def test_renaming_sends_only_what_was_changed(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(RenameDialog(shell, of_vms(shell, "v1")[0]))
    assert dialog.button("Rename").instate(["disabled"])
    dialog.name.entry.focus_force()
    driver.key("ctrl+a")
    driver.type("web-new")
    driver.key("Return")
    driver.until(lambda: dialog.closed)
    assert dialog.given == {"name": "web-new"}


def test_a_full_copy_can_go_to_another_storage(shell: StageShell, opened: Any) -> None:
    dialog = opened(CloneDialog(shell, operation(Verb.COPY), of_vms(shell, "v1")[0]))
    assert [key for key, _ in dialog.storage._options] == ["", "st2", "st1"], "no ISO library, most free first"
    dialog.storage.set("st1")
    assert dialog.arguments() == {"name": "web-frontend-01 copy", "storage": "st1"}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("web-01", "web-01.xva"),
        ("../../etc/passwd", "_.._etc_passwd.xva"),
        ("CON", "_CON.xva"),
        ("", "vm.xva"),
        ("a/b\\c:d", "a_b_c_d.xva"),
    ],
)
def test_a_hostile_name_never_becomes_a_path(name: str, file: str) -> None:
    assert file_name(name, ".xva") == file


def test_paths_that_name_no_file_are_refused_at_once() -> None:
    assert check_path("")
    assert check_path("a\0b")
    assert check_path("/")
    assert check_path("/tmp/x.xva") is None


def test_sizes_are_read_as_people_type_them() -> None:
    gib = 1024**3
    assert [parse_gib(t) for t in ("8", "1,5", "512 MiB", "2t", "x", "-1")] == [
        8 * gib,
        int(1.5 * gib),
        512 * 1024**2,
        2 * 1024**4,
        None,
        None,
    ]
    assert check_size("", 1) is None
    assert check_size("lots", 1)
    assert check_size("0.001", gib) == "That is too small."


def test_a_vm_is_described_with_the_fields_that_the_server_understands(
    shell: StageShell, opened: Any, driver: Driver, until: Until
) -> None:
    dialog = opened(CreateDialog(shell, of_server(shell)))
    until(lambda: dialog._choices is not None, "the server's answer")
    assert "guest_os" not in dialog._pick
    assert dialog.button("Create").instate(["disabled"])
    dialog._text["name"].entry.focus_force()
    driver.type("web")
    dialog._text["memory_bytes"].set("2")
    dialog.how_many.set("2")
    until(lambda: not dialog.button("Create").instate(["disabled"]))
    driver.click(dialog.button("Create"))
    until(lambda: dialog.closed)
    assert [s.name for s in dialog.specs] == ["web-01", "web-02"]
    assert dialog.specs[0].template_id == "t1"
    assert dialog.specs[0].memory_bytes == 2 * 1024**3
    assert dialog.specs[0].vcpus is None


# ---- passwords, masters -------------------------------------------------------------------------------------


def test_a_new_password_is_typed_twice_and_travels_wrapped(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(PasswordDialog(shell, operation(Verb.CHANGE_PASSWORD), of_server(shell)))
    button = dialog.button("Change password")
    dialog.old.entry.focus_force()
    for text in ("old", "new1", "new"):
        driver.type(text)
        driver.key("Tab")
    assert button.instate(["disabled"])
    dialog.again.set("new1")
    driver.until(lambda: not button.instate(["disabled"]))
    dialog.new.set("other")
    driver.until(lambda: button.instate(["disabled"]))
    dialog.new.set("new1")
    driver.click(button)
    driver.until(lambda: dialog.closed)
    assert dialog.given == {"old": Secret(password="old"), "new": Secret(password="new1")}
    assert "new1" not in repr(dialog.given)
    assert password_problem("a\nb", "")


def test_pointing_to_a_master_needs_its_address_twice(shell: StageShell, opened: Any, driver: Driver) -> None:
    dialog = opened(PointToMasterDialog(shell, operation(Verb.POINT_TO_MASTER), of_server(shell)))
    button = dialog.button("Point to master")
    dialog.address.set("10.20.1.12")
    assert button.instate(["disabled"])
    dialog.again.set("10.20.1.12")
    driver.until(lambda: not button.instate(["disabled"]))
    dialog.address.set("user@host")
    driver.until(lambda: button.instate(["disabled"]))


# ---- how they hang together ---------------------------------------------------------------------------------


def test_what_fits_one_object_only_is_not_asked_for_several(shell: StageShell) -> None:
    press_when_open(shell.root, "Close")
    assert shell.dialogs.ask_arguments(operation(Verb.EXPORT), of_vms(shell, "v1", "v2")) is None


def test_arguments_come_back_from_the_modal_dialog(shell: StageShell) -> None:
    press_when_open(shell.root, "Clone")
    given = shell.dialogs.ask_arguments(operation(Verb.CLONE), of_vms(shell, "v5"))
    assert given == {"name": "legacy-erp copy"}
    press_when_open(shell.root, "Cancel")
    assert shell.dialogs.ask_arguments(operation(Verb.CLONE), of_vms(shell, "v5")) is None


def test_about_and_help_open_and_close(shell: StageShell) -> None:
    press_when_open(shell.root, "Close")
    shell.dialogs.about()
    press_when_open(shell.root, "Close")
    shell.dialogs.help()


def test_return_presses_the_button_that_has_the_keyboard_and_no_other(
    shell: StageShell, driver: Driver, until: Until
) -> None:
    dialog = FormDialog(shell, "Export", "Export “web-01”", verb="Export")
    pressed: list[str] = []
    browse = ttk.Button(dialog.body, text="Browse…", command=lambda: pressed.append("browse"))
    dialog.add_wide(browse)
    dialog.open()
    until(lambda: bool(dialog.top.winfo_viewable()))
    browse.focus_force()
    driver.key("Return")
    until(lambda: pressed == ["browse"])
    assert not dialog.closed
    browse.state(["disabled"])
    driver.key("Return")
    assert pressed == ["browse"]
    assert not dialog.closed
    dialog.button("Cancel").focus_force()
    driver.key("Return")
    until(lambda: dialog.closed)
    assert dialog.answer is None


@pytest.mark.parametrize("nothing", ["", ()])
def test_a_cancelled_file_window_leaves_the_path_as_it_is(
    shell: StageShell, driver: Driver, until: Until, monkeypatch: pytest.MonkeyPatch, nothing: object
) -> None:
    """Tk says () when its window is cancelled after something was chosen in it, else an empty string."""
    monkeypatch.setattr("tkinter.filedialog.asksaveasfilename", lambda **_options: nothing)
    monkeypatch.setattr("tkinter.filedialog.askopenfilename", lambda **_options: nothing)
    export = ExportDialog(shell, operation(Verb.EXPORT), of_vms(shell, "v1")[0])
    before = export.path.field.get()
    export.path._browse()
    assert export.path.field.get() == before
    export.destroy()
    fetch = ImportDialog(shell, operation(Verb.IMPORT), of_server(shell))
    fetch.path.field.set("/srv/web.ova")
    fetch.path._browse()
    assert fetch.path.field.get() == "/srv/web.ova"
    fetch.destroy()


def test_a_host_that_writes_itself_is_asked_for_a_path_of_its_own(shell: StageShell, until: Until) -> None:
    """Hyper-V exports to and imports from its own disks: a folder of this computer means nothing there."""
    connection = shell.services.connections.all()[0]
    connection.profile = replace(connection.profile, platform="hyperv")
    export = ExportDialog(shell, operation(Verb.EXPORT), of_vms(shell, "v1")[0])
    assert export.path.field.get() == "", "a folder of this computer is no suggestion"
    assert "Browse…" not in texts(export.top)
    export.open()
    until(lambda: bool(export.top.winfo_viewable()))
    for text, good in (("/root/web", False), ("Exports", False), ("D:\\Exports", True), (r"\\nas\exports", True)):
        export.path.field.set(text)
        until(lambda good=good: export.button("Export").instate(["!disabled" if good else "disabled"]))  # type: ignore[misc]
    assert export.accept("Export"), "nothing is looked for on the disks of this computer"
    assert export.arguments() == {"to": r"\\nas\exports", "compress": False}
    export.destroy()
    again = ExportDialog(shell, operation(Verb.EXPORT), of_vms(shell, "v1")[0])
    assert again.path.field.get() == r"\\nas\exports"
    again.destroy()
    fetch = ImportDialog(shell, operation(Verb.IMPORT), of_server(shell))
    assert "Browse…" not in texts(fetch.top)
    assert fetch.storage is None
    fetch.path.field.set("D:\\Exports\\web")
    assert fetch.arguments() == {"from": "D:\\Exports\\web"}
    fetch.destroy()


@pytest.mark.parametrize(
    ("error", "caption"),
    [
        (ToolsMissing("No working guest tools.", "VM_LACKS_FEATURE"), "The server's own words"),
        (LocalError("The file /srv/x.xva can't be read.", "[Errno 2] No such file"), "Details"),
    ],
)
def test_only_a_server_is_quoted_as_one(shell: StageShell, error: HvError, caption: str) -> None:
    dialog = ErrorDialog(shell, "Import: x.xva", error)
    assert caption in texts(dialog.top)
    dialog.destroy()
