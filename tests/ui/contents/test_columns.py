"""ui/columns.py: what the VM table shows, and how it sorts."""

from __future__ import annotations

from hvconsole.model import PowerState, ToolsState
from hvconsole.ui.columns import BY_ID, COLUMNS, DEFAULT_COLUMNS, Context, Watched, chosen_columns, natural_key
from tests.ui.stage import GIB, HOSTILE, oid, sample_inventory, snapshot, vm

INVENTORY = sample_inventory()
CONTEXT = Context.of(INVENTORY, lambda i: Watched(True, 12.3) if i == "v1" else Watched(i == "v6", None, i == "v6"))


def test_numbers_inside_names_sort_by_value_and_case_does_not_matter() -> None:
    names = ["web-10", "Web-2", "web-1", "db-7", "100", "20", ""]
    assert sorted(names, key=natural_key) == ["", "20", "100", "db-7", "web-1", "Web-2", "web-10"]


def test_strange_digits_and_long_names_do_not_break_sorting() -> None:
    names = ["x²", "x٣", "x" * 5000, HOSTILE, "9" * 300]
    assert sorted(sorted(names, key=natural_key), key=natural_key) == sorted(names, key=natural_key)


def test_every_column_shows_safe_text_for_every_vm_and_can_be_sorted_by() -> None:
    vms = list(INVENTORY.vms.values())
    for column in COLUMNS:
        for one in vms:
            text = column.text(one, CONTEXT)
            assert text.isprintable()
            assert "‮" not in text
        assert len(sorted(vms, key=lambda v: column.sort_key(v, CONTEXT))) == len(vms)


def test_sizes_sort_by_size_and_unknown_ones_come_last() -> None:
    sizes = {"a": 900 * 1024**2, "b": 8 * GIB, "c": None}
    vms = [vm(name, name, memory_bytes=size) for name, size in sizes.items()]
    column = BY_ID["memory"]
    assert [v.name for v in sorted(vms, key=lambda v: column.sort_key(v, CONTEXT))] == ["a", "b", "c"]


def test_cells_say_what_an_administrator_looks_for() -> None:
    one = vm(
        "x",
        "x",
        addresses=("10.0.0.1", "fe80::1", "10.0.0.9"),
        operations=("clean_reboot",),
        tools=ToolsState.MISSING,
        snapshots=(snapshot("1", "a", 1), snapshot("2", "b", 2, auto=True)),
    )
    assert BY_ID["address"].text(one, CONTEXT) == "10.0.0.1  +2"
    assert BY_ID["state"].text(one, CONTEXT) == "Running · clean reboot"
    assert BY_ID["tools"].text(one, CONTEXT) == "Missing"
    assert BY_ID["snapshots"].text(one, CONTEXT) == "2 (1 auto)"
    assert BY_ID["host"].text(one, CONTEXT) == "xs-node-01"
    assert BY_ID["host"].text(vm("y", "y", PowerState.HALTED, "h2"), CONTEXT) == "xs-node-02"


def test_the_round_trip_time_is_shown_for_ticked_vms_only() -> None:
    rtt = BY_ID["rtt"]
    assert rtt.text(INVENTORY.vms[oid("v1")], CONTEXT) == "12 ms"
    assert rtt.text(INVENTORY.vms[oid("v6")], CONTEXT) == "no reply"
    assert rtt.text(INVENTORY.vms[oid("v2")], CONTEXT) == ""


def test_remembered_columns_survive_and_strange_ones_are_dropped() -> None:
    assert chosen_columns(("os", "state", "nonsense", "os")) == ("os", "state")
    assert chosen_columns(()) == DEFAULT_COLUMNS
    assert chosen_columns("os") == DEFAULT_COLUMNS
    assert chosen_columns(["unheard"]) == DEFAULT_COLUMNS
