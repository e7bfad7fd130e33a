"""Names in the tree that are wider than their column: what is left of them, and when they come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hvconsole.ui.eliding import shortened
from hvconsole.ui.interfaces import ItemKind
from tests.ui.shell_stage import Stand
from tests.ui.stage import oid

Until = Callable[..., None]
LONG = "customer-portal-production-frontend-node-with-a-very-long-name-17"


def tens(text: str) -> int:
    return 10 * len(text)


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("web-01", 60, "web-01"),
        ("web-frontend-01", 100, "web-fr…-01"),
        ("Network_Down 2026-11-23 12:52:58Z", 200, "Network_Down…52:58Z"),
        ("web-frontend-01  ·  away", 200, "web-fro…-01  ·  away"),
        ("web  ·  host not answering", 120, "web  ·  hos…"),
        ("Network_Down 2026-11-23 12:52:58Z  ·  you are here", 200, "Network_Down…52:58Z"),
        ("x" * 5000, 100, "xxxxxx…xxx"),
        ("web", 5, "…"),
        ("web", -40, "…"),
    ],
)
def test_the_middle_of_a_name_gives_way(text: str, room: int, shown: str) -> None:
    assert shortened(text, room, tens) == shown


def shown_text(stand: Stand, row: str) -> str:
    return str(stand.tree.item(row, "text"))


@pytest.mark.display
def test_a_long_name_shows_that_it_is_cut_until_there_is_room(stand: Stand, until: Until) -> None:
    named = replace(stand.hypervisor.inventory.vms[oid("v1")], name=LONG)
    stand.hypervisor.change(v1=named)
    row = stand.row(ItemKind.VM, "v1")
    until(lambda: "…" in shown_text(stand, row))
    assert shown_text(stand, row).startswith("customer-")
    assert shown_text(stand, row).endswith("17")
    assert fits(stand.tree, row)
    assert stand.window.tree._tip(row).startswith(LONG)

    panes = stand.window.placement._sashes["tree"].panes
    panes.configurepane("tree", size=900)
    until(lambda: shown_text(stand, row) == LONG)
    panes.configurepane("tree", size=260)
    until(lambda: "…" in shown_text(stand, row) and fits(stand.tree, row))


def fits(tree: Any, row: str) -> bool:
    """Whether what the row shows ends inside its column."""
    x, y, width, height = tree.bbox(row, "#0")
    left = next(n for n in range(width) if tree.identify_element(x + n, y + height // 2).endswith("text"))
    room = width - left
    return int(tree.tk.call("font", "measure", "TkDefaultFont", tree.item(row, "text"))) <= room


@pytest.mark.display
def test_typing_ahead_and_searching_find_what_is_not_shown(stand: Stand, until: Until) -> None:
    named = replace(stand.hypervisor.inventory.vms[oid("v1")], name=LONG)
    stand.hypervisor.change(v1=named)
    row = stand.row(ItemKind.VM, "v1")
    until(lambda: "…" in shown_text(stand, row))
    stand.select("v6")
    stand.tree.focus_set()
    for letter in "customer-portal-production-f":
        stand.tree.event_generate("<Key>", keysym="minus" if letter == "-" else letter)
    until(lambda: stand.window.selection.ids == ("v1",))
    stand.window.search.focus()
    stand.window.search._text.set("with-a-very-long")
    until(lambda: stand.vm_names() == [LONG])
