"""Network: a map of a host's cards, networks and VMs; a table of a VM's cards above its part of that map.

Tk thread only.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import font as tkfont
from tkinter import ttk

from PIL import ImageTk

from hvconsole.backends.base import Capability
from hvconsole.errors import HvError
from hvconsole.events import ConnectionState
from hvconsole.model import Inventory, NetworkMap, Nic, ObjectId, Vm, VmDetails
from hvconsole.text import safe_text
from hvconsole.ui import drawing
from hvconsole.ui.cards import Empty
from hvconsole.ui.interfaces import Item, ItemKind, Selection, Shell, Subject
from hvconsole.ui.listing import ListColumn, Listing
from hvconsole.ui.pages.base import BasePage
from hvconsole.ui.pages.network_layout import NETWORK_X, NIC_X, VM_X, Box, Drawing, Health, Wire, lay_out

_ICONS = {"nic": "ethernet-port", "network": "network", "vm": "monitor", "more": "layers"}
LEAST_ROWS = 8
"""Lines of the table of cards where nothing is below it."""
_WIRES = {Health.GOOD: "ok", Health.BAD: "bad", Health.IDLE: "thumb"}


def nic_rows(vm: Vm, nics: tuple[Nic, ...]) -> list[tuple[str, tuple[str, ...], bool]]:
    """(device, columns, plugged) for each card of a VM, safe to show."""
    words = {True: "plugged in", False: "unplugged", None: "not known"}
    rows: list[tuple[str, tuple[str, ...], bool]] = []
    for nic in nics:
        addresses = nic.addresses or (vm.addresses if len(nics) == 1 else ())
        values = (
            safe_text(nic.network, 80) or "none",
            safe_text(", ".join(addresses), 200),
            safe_text(nic.mac, 40),
            words[nic.connected],
        )
        rows.append((safe_text(nic.device, 40) or "card", values, nic.connected is not False))
    return rows


class NetworkPage(BasePage):
    """A map for a host; a table for a VM, and below it the map of its networks where it runs."""

    title = "Network"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        super().__init__(shell, parent)
        self._vm_table = _NicTable(self)
        self._map = _Map(self)
        self._empty = Empty(self.theme, self.widget, "network", "")
        self._drawn: object = None
        self._arranged: tuple[tk.Widget, ...] = ()
        self.mapped: ObjectId | None = None
        """The VM whose networks are drawn."""

    @staticmethod
    def applies(selection: Selection) -> bool:
        """For a host or a VM."""
        return selection.kind in (ItemKind.HOST, ItemKind.VM)

    def update(self, fresh: bool) -> None:
        """Draw what is known, ask for the rest."""
        subject = self.subject
        if subject is None:
            return
        state = (subject.vm, subject.host, subject.connection.inventory if subject.host is not None else None)
        if not fresh and state == self._drawn:
            return
        self._drawn = state
        if subject.vm is not None:
            if subject.vm.id != self.mapped:
                self.mapped = None
            self.show_cards()
            self._vm_table.show(subject)
            self._ask_map_of(subject)
        elif subject.host is not None:
            self.mapped = None
            self._update_map(subject, fresh)

    def _update_map(self, subject: Subject, fresh: bool) -> None:
        connection = subject.connection
        if connection.state is not ConnectionState.CONNECTED:
            self.say("The server is away: the map can't be asked for.")
            return
        if Capability.NETWORK_MAP not in connection.capabilities:
            self.say("This server doesn't offer a network map.")
            return
        if fresh:
            self.say("Asking the server…")
        assert subject.host is not None
        host_id, item = subject.host.id, subject.item

        def answered(answer: NetworkMap | HvError) -> None:
            now = Selection((item,)).subject(self.shell.services.connections)
            if isinstance(answer, HvError):
                self.say(safe_text(answer.user_text, 300))
            elif now is not None and now.connection.inventory is not None:
                self._show(self._map.frame)
                self._map.show(answer, now.connection.inventory, item)

        self.asker.ask("map", connection, lambda hv: hv.network_map(host_id), answered)

    def _ask_map_of(self, subject: Subject) -> None:
        """Draw what the VM's cards lead to on the host that it runs on; without an answer the table is all there is."""
        vm, connection, item = subject.vm, subject.connection, subject.item
        usable = connection.state is ConnectionState.CONNECTED and Capability.NETWORK_MAP in connection.capabilities
        if vm is None or vm.host_id is None or not vm.nics or not usable:
            return
        vm_id, host_id = vm.id, vm.host_id

        def answered(answer: NetworkMap | HvError) -> None:
            now = self.subject
            inventory = connection.inventory
            if isinstance(answer, HvError) or inventory is None or now is None or now.vm is None or now.vm.id != vm_id:
                return
            self._map.show(answer, inventory, item, vm_id)
            if self._map.has_boxes:
                self.mapped = vm_id
                self.show_cards()

        self.asker.ask("map", connection, lambda hv: hv.network_map(host_id), answered)

    def show_cards(self) -> None:
        """The table of a VM's cards, and the map below it if there is one."""
        if self.mapped is not None:
            self._show(self._vm_table.listing.frame, self._map.frame)
        else:
            self._show(self._vm_table.listing.frame)
        self._vm_table.fit(whole=self.mapped is None)

    def say(self, text: str) -> None:
        """Nothing to draw, and why."""
        self._empty.text.configure(text=text)
        self._show(self._empty.frame)

    def _show(self, *frames: tk.Widget) -> None:
        """Only these, one below the other; the last one takes the room."""
        if frames == self._arranged:
            return
        self._arranged = frames
        for known in (self._vm_table.listing.frame, self._map.frame, self._empty.frame):
            known.pack_forget()
        for frame in frames:
            last = frame is frames[-1]
            frame.pack(fill="both" if last else "x", expand=last)


class _NicTable:
    """The cards of a VM."""

    def __init__(self, page: NetworkPage) -> None:
        self._page = page
        self.listing = Listing(
            page.theme,
            page.widget,
            (
                ListColumn("device", "Card", 110),
                ListColumn("network", "Network", 220),
                ListColumn("address", "Address", 240, stretch=True),
                ListColumn("mac", "MAC", 150),
                ListColumn("state", "State", 110),
            ),
        )

    def show(self, subject: Subject) -> None:
        vm = subject.vm
        assert vm is not None
        self._fill(vm, vm.nics)
        if subject.connection.state is not ConnectionState.CONNECTED:
            return
        vm_id = vm.id

        def answered(answer: VmDetails | HvError) -> None:
            if not isinstance(answer, HvError) and answer.nics:
                self._fill(vm, answer.nics)

        self._page.asker.ask("cards", subject.connection, lambda hv: hv.details(vm_id), answered)

    def fit(self, *, whole: bool) -> None:
        """Take the ``whole`` page, or no more lines than there are cards."""
        rows = LEAST_ROWS if whole else max(1, len(self.listing.tree.get_children()))
        if int(str(self.listing.tree.cget("height"))) != rows:
            self.listing.tree.configure(height=rows)

    def _fill(self, vm: Vm, nics: tuple[Nic, ...]) -> None:
        if not nics:
            self._page.say("This VM has no network card.")
            return
        self._page.show_cards()
        self.listing.clear()
        for number, (device, values, plugged) in enumerate(nic_rows(vm, nics)):
            self.listing.insert(
                str(number),
                device,
                values,
                image=self._page.theme.images.row("ethernet-port"),
                tags=() if plugged else ("bad",),
            )
        self.fit(whole=self._page.mapped is None)


class _Map:
    """Boxes and wires on a canvas that scrolls; a click on a VM selects it."""

    def __init__(self, page: NetworkPage) -> None:
        self._page = page
        theme = page.theme
        self.frame = ttk.Frame(page.widget, style="Surface.TFrame")
        self.frame.rowconfigure(0, weight=1)
        self.frame.columnconfigure(0, weight=1)
        self.canvas = tk.Canvas(self.frame, highlightthickness=0, yscrollincrement=theme.px(20))
        theme.paint(self.canvas, background="surface")
        self.canvas.grid(row=0, column=0, sticky="nsew")
        down = ttk.Scrollbar(self.frame, command=self.canvas.yview)
        across = ttk.Scrollbar(self.frame, command=self.canvas.xview, orient="horizontal")
        self.canvas.configure(yscrollcommand=_hiding(down, 0, 1, "ns"), xscrollcommand=_hiding(across, 1, 0, "ew"))
        for sequence, step in (("<Button-4>", -3), ("<Button-5>", 3)):
            self.canvas.bind(sequence, lambda _event, step=step: self._scroll(step))  # type: ignore[misc]
        self.canvas.bind("<MouseWheel>", lambda event: self._scroll(-3 if event.delta > 0 else 3))
        self._shown: tuple[NetworkMap, Inventory, Item] | None = None
        self._drawing: Drawing | None = None
        self._boxes: dict[tuple[float, float, bool], ImageTk.PhotoImage] = {}
        self._bold = tkfont.nametofont("HvBold", root=page.shell.root)
        self._small = tkfont.nametofont("HvSmall", root=page.shell.root)
        theme.follow(self.frame, lambda _theme: self._redraw())

    def _scroll(self, step: int) -> None:
        if self.canvas.yview() != (0.0, 1.0):
            self.canvas.yview_scroll(step, "units")

    @property
    def has_boxes(self) -> bool:
        """Whether there is anything to see."""
        return self._drawing is not None and bool(self._drawing.boxes)

    def show(self, network_map: NetworkMap, inventory: Inventory, item: Item, chosen: ObjectId | None = None) -> None:
        self._shown = (network_map, inventory, item)
        drawn = lay_out(network_map, inventory.vms, chosen)
        if drawn == self._drawing:
            return
        self._drawing = drawn
        self._redraw()
        if chosen is not None:
            self.canvas.yview_moveto(0)

    def _redraw(self) -> None:
        drawn, theme = self._drawing, self._page.theme
        if drawn is None:
            return
        px, canvas = theme.px, self.canvas
        self._boxes.clear()
        canvas.delete("all")
        for x, text in ((NIC_X, "PHYSICAL CARDS"), (NETWORK_X, "NETWORKS"), (VM_X, "VIRTUAL MACHINES")):
            canvas.create_text(px(x), px(22), anchor="w", text=text, fill=theme.color("faint"), font="HvSmallBold")
        order = {Health.IDLE: 0, Health.GOOD: 1, Health.BAD: 2}
        for wire in sorted(drawn.wires, key=lambda w: order[w.health]):
            self._wire(wire)
        for number, box in enumerate(drawn.boxes):
            # Tk reads a tag as an expression ("a||!b"), so an id of the server can't be one.
            self._box(box, f"box{number}")
        canvas.configure(scrollregion=(0, 0, px(drawn.width), px(drawn.height)))

    def _wire(self, wire: Wire) -> None:
        px = self._page.theme.px
        points = [px(value) for point in wire.points for value in point]
        dash = (px(5), px(4)) if wire.health is Health.BAD else ()
        colour = self._page.theme.color(_WIRES[wire.health])
        self.canvas.create_line(*points, fill=colour, width=px(2), dash=dash, joinstyle="miter")

    def _box(self, box: Box, tag: str) -> None:
        theme, canvas = self._page.theme, self.canvas
        px = theme.px
        canvas.create_image(px(box.x), px(box.y), anchor="nw", image=self._picture(box), tags=(tag,))
        middle = px(box.y + box.height / 2)
        icon = theme.icon(_ICONS[box.kind], 18)
        canvas.create_image(px(box.x + 14), middle, anchor="w", image=icon, tags=(tag,))
        room = px(box.width - 42 - (34 if box.power is not None else 10))
        for text, font, name, offset, token in (
            (box.title, self._bold, "HvBold", -8, "selection_text" if box.chosen else "text"),
            (box.note, self._small, "HvSmall", 9, "selection_text" if box.chosen else "muted"),
        ):
            canvas.create_text(
                px(box.x + 42),
                middle + px(offset),
                anchor="w",
                text=fit(text, font, room),
                fill=theme.color(token),
                font=name,
                tags=(tag,),
            )
        if box.power is not None:
            sign = theme.images.state(box.power.value, 16)
            canvas.create_image(px(box.x + box.width - 12), middle, anchor="e", image=sign, tags=(tag,))
        if box.vm_id is not None:
            vm_id = box.vm_id
            canvas.tag_bind(tag, "<Button-1>", lambda _event: self._select(vm_id))
            canvas.tag_bind(tag, "<Enter>", lambda _event: canvas.configure(cursor="hand2"))
            canvas.tag_bind(tag, "<Leave>", lambda _event: canvas.configure(cursor=""))

    def _picture(self, box: Box) -> ImageTk.PhotoImage:
        theme = self._page.theme
        key = (box.width, box.height, box.chosen)
        if key not in self._boxes:
            drawn = drawing.rounded(
                theme.px(box.width),
                theme.px(box.height),
                theme.px(7),
                fill=theme.color("selection" if box.chosen else "raised"),
                edge=theme.color("accent" if box.chosen else "control"),
                edge_width=max(1, theme.px(2 if box.chosen else 1)),
            )
            self._boxes[key] = theme.images.own(drawing.flatten(drawn, theme.color("surface")))
        return self._boxes[key]

    def _select(self, vm_id: ObjectId) -> None:
        if self._shown is not None:
            self._page.shell.select(Selection((Item(ItemKind.VM, self._shown[2].server_id, vm_id),)))


def fit(text: str, font: tkfont.Font, room: int) -> str:
    """``text`` cut with an ellipsis so that it is at most ``room`` pixels wide."""
    if font.measure(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.measure(text[:middle] + "…") <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def _hiding(bar: ttk.Scrollbar, row: int, column: int, sticky: str) -> Callable[[float, float], None]:
    """A scroll command that shows the bar only when it is needed."""

    def scrolled(first: float, last: float) -> None:
        bar.set(first, last)
        if (float(first), float(last)) == (0.0, 1.0):
            bar.grid_remove()
        else:
            bar.grid(row=row, column=column, sticky=sticky)

    return scrolled
