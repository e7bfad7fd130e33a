"""Console: what is on a VM's screen, refreshed while it is looked at, and where an external viewer finds it.

Tk thread only; pictures are fetched and decoded by workers.
"""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk

from PIL import Image, ImageTk

from hvconsole.backends.base import Capability
from hvconsole.errors import HvError
from hvconsole.events import ConnectionState
from hvconsole.model import ConsoleAddress, PowerState
from hvconsole.text import safe_text
from hvconsole.ui.cards import MARGIN, wrap_to_width
from hvconsole.ui.clipboard import copy_text
from hvconsole.ui.interfaces import ItemKind, Selection, Shell, Subject
from hvconsole.ui.pages.base import BasePage
from hvconsole.ui.pictures import decode, fitted

EVERY_MS = 5_000


class ConsolePage(BasePage):
    """The picture in the middle, the address of the console below it."""

    title = "Console"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        super().__init__(shell, parent)
        px = self.theme.px
        foot = ttk.Frame(self.widget, style="Surface.TFrame")
        foot.pack(side="bottom", fill="x", padx=px(MARGIN), pady=px(8))
        self.refresh_button = ttk.Button(foot, text="Refresh", style="Surface.TButton", command=self._ask_picture)
        self.refresh_button.pack(side="right")
        self.copy_button = ttk.Button(foot, text="Copy address", style="Surface.TButton", command=self._copy)
        self.copy_button.pack(side="right", padx=px(6))
        self.words = ttk.Label(foot, style="Surface.Small.TLabel", justify="left", anchor="w")
        wrap_to_width(self.words)
        self.words.pack(side="left", fill="x", expand=True)
        self.canvas = tk.Canvas(self.widget, highlightthickness=0)
        self.theme.paint(self.canvas, background="console")
        self.canvas.pack(fill="both", expand=True)
        self.canvas.bind("<Configure>", lambda _event: self._draw())
        self._picture: Image.Image | None = None
        self._photo: ImageTk.PhotoImage | None = None
        self._address: ConsoleAddress | None = None
        self._says = ""

    @staticmethod
    def applies(selection: Selection) -> bool:
        """For one VM."""
        return selection.kind is ItemKind.VM and len(selection.items) == 1

    def update(self, fresh: bool) -> None:
        """Begin anew for another VM, and when this one starts or stops."""
        subject = self.subject
        if subject is None or subject.vm is None:
            return
        reason = self._why_not(subject)
        if fresh:
            self._picture, self._address = None, None
            self._show_address()
            if not reason:
                self._ask_address(subject)
        if reason:
            self.stop_timer()
            self.asker.drop("picture")
            self._picture = None
            self._say(reason)
        elif fresh or (self._timer is None and not self.asker.waiting("picture")):
            self._say("Asking for the screen…")
            self._ask_picture()

    def _why_not(self, subject: Subject) -> str:
        assert subject.vm is not None
        if subject.connection.state is not ConnectionState.CONNECTED:
            return "The server is away."
        if subject.vm.power is not PowerState.RUNNING:
            return "The VM isn't running: its screen is dark."
        return ""

    def _ask_picture(self) -> None:
        self.stop_timer()
        subject = self.subject
        if subject is None or subject.vm is None or self._why_not(subject):
            return
        if Capability.SCREENSHOT not in subject.connection.capabilities:
            self._say("This server doesn't offer pictures of the screen.")
            return
        vm_id = subject.vm.id
        self.asker.ask("picture", subject.connection, lambda hv: decode(hv.screenshot(vm_id)), self._seen)

    def _seen(self, answer: Image.Image | HvError) -> None:
        self.start_timer(EVERY_MS)
        if isinstance(answer, HvError):
            if self._picture is None:
                self._say(safe_text(answer.user_text, 200))
            return
        self._picture = answer
        self._says = ""
        self._draw()

    def tick(self) -> None:
        """Look again."""
        self._ask_picture()

    def _say(self, text: str) -> None:
        self._says = text
        self._draw()

    def _draw(self) -> None:
        canvas = self.canvas
        wide, high = canvas.winfo_width(), canvas.winfo_height()
        canvas.delete("all")
        if wide < 20 or high < 20:
            return
        if self._picture is not None:
            self._photo = self.theme.images.own(fitted(self._picture, wide, high))
            canvas.create_image(wide // 2, high // 2, image=self._photo)
        elif self._says:
            canvas.create_text(
                wide // 2, high // 2, text=self._says, fill=self.theme.color("console_text"), width=wide - 40
            )

    # ---- the address ---------------------------------------------------------------------------------------

    def _ask_address(self, subject: Subject) -> None:
        if subject.vm is None or Capability.CONSOLE not in subject.connection.capabilities:
            return
        vm_id = subject.vm.id
        self.asker.ask("address", subject.connection, lambda hv: hv.console(vm_id), self._found)

    def _found(self, answer: ConsoleAddress | HvError) -> None:
        self._address = None if isinstance(answer, HvError) else answer
        self._show_address()

    def _show_address(self) -> None:
        address = self._address
        self.copy_button.state(["!disabled"] if address is not None else ["disabled"])
        if address is None:
            self.words.configure(text="")
            return
        location = f"{safe_text(address.protocol, 20)}: {safe_text(address.location, 160)}"
        self.words.configure(text="\n".join(p for p in (location, safe_text(address.note, 200)) if p))

    def _copy(self) -> None:
        if self._address is not None:
            copy_text(self.widget, self._address.location)
            self.shell.status("The console's address is on the clipboard.")
