"""A server's certificate: accept it the first time, or look twice because it changed. Tk thread only."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from tkinter import ttk

from hvconsole.errors import CertificateError
from hvconsole.model import Certificate
from hvconsole.profiles import format_address
from hvconsole.text import safe_text
from hvconsole.trust import format_fingerprint, validity_warning
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.interfaces import Shell
from hvconsole.ui.wording import local_time


@dataclass(frozen=True, slots=True)
class Row:
    """One fact; ``old`` is what the accepted certificate said, None on first use."""

    label: str
    new: str
    old: str | None = None

    @property
    def differs(self) -> bool:
        """Whether old and new say different things."""
        return self.old is not None and self.old != self.new


def fingerprint_lines(sha256: str, groups: int = 16) -> str:
    """The fingerprint in lines of ``groups`` bytes, so that two can be compared by eye."""
    whole = format_fingerprint(sha256)
    step = groups * 3
    return "\n".join(whole[i : i + step].rstrip(":") for i in range(0, len(whole), step))


def rows(presented: Certificate, pinned: Certificate | None, groups: int = 16) -> tuple[Row, ...]:
    """What the dialog shows, old beside new where there is an old one."""

    def name(text: str) -> str:
        return safe_text(text, 160) or "—"

    def date(when: dt.datetime | None) -> str:
        return local_time(when) or "—"

    def row(label: str, of: str, show: object) -> Row:
        assert callable(show)
        return Row(label, show(getattr(presented, of)), None if pinned is None else show(getattr(pinned, of)))

    return (
        row("SHA-256", "sha256", lambda text: fingerprint_lines(text, groups)),
        row("Issued to", "subject", name),
        row("Issued by", "issuer", name),
        row("Valid from", "not_before", date),
        row("Valid until", "not_after", date),
    )


class CertificateDialog(FormDialog):
    """First use asks; a change warns, shows old beside new, and needs a tick before it can be accepted."""

    width = 520

    def __init__(self, shell: Shell, name: str, error: CertificateError) -> None:
        presented = error.presented
        assert presented is not None
        changed = error.reason == "changed" and error.pinned is not None
        place = format_address(presented.host, presented.port)
        shown = safe_text(name, 80)
        if changed:
            heading = f"The certificate of “{shown}” has changed"
            text = (
                f"{safe_text(place, 80)} is not using the certificate you accepted. Someone may be pretending to be "
                "this server to get your password. It is harmless only if the server was reinstalled or its "
                "certificate was renewed on purpose: ask whoever did it for the new fingerprint."
            )
        else:
            heading = f"First connection to “{shown}”"
            text = (
                f"Nobody has vouched for {safe_text(place, 80)} yet. Compare the fingerprint with the one on the "
                "server's own console before you accept it. Your password has not been sent."
            )
        super().__init__(
            shell,
            "Certificate",
            heading,
            text,
            verb="Replace the certificate" if changed else "Accept and connect",
            danger=changed,
            icon="triangle-alert" if changed else "info",
            icon_color="bad" if changed else "info",
        )
        self.changed = changed
        self._add_table(rows(presented, error.pinned if changed else None, 8 if changed else 16))
        warning = validity_warning(presented, shell.services.clock.now())
        if warning:
            self.add_text(warning, "Error.TLabel")
        self.sure = self.tick_field("I have compared the new fingerprint with the server's own") if changed else None
        # Return must never accept a certificate
        self.focus_first(self.button("Cancel"))

    def _add_table(self, facts: tuple[Row, ...]) -> None:
        px = self.theme.px
        table = ttk.Frame(self.body)
        column_of_new = 2 if self.changed else 1
        if self.changed:
            ttk.Label(table, text="ACCEPTED", style="Section.TLabel").grid(row=0, column=1, sticky="w", padx=px(12))
            ttk.Label(table, text="NOW", style="Section.TLabel").grid(row=0, column=2, sticky="w", padx=px(12))
        for number, fact in enumerate(facts, start=1):
            font = "TkFixedFont" if fact.label == "SHA-256" else "TkDefaultFont"
            ttk.Label(table, text=fact.label, style="Muted.TLabel").grid(row=number, column=0, sticky="nw", pady=px(3))
            wrap = px(230 if self.changed else 420)
            if fact.old is not None:
                ttk.Label(table, text=fact.old, font=font, wraplength=wrap).grid(
                    row=number, column=1, sticky="nw", padx=px(12), pady=px(3)
                )
            new = ttk.Label(
                table,
                text=fact.new,
                font=font,
                wraplength=wrap,
                style="Error.TLabel" if fact.differs else "TLabel",
            )
            new.grid(row=number, column=column_of_new, sticky="nw", padx=px(12), pady=px(3))
        self.add_wide(table, gap=6)

    def problem(self) -> str | None:
        """A changed certificate needs its tick."""
        if self.sure is not None and not self.sure.get():
            return "Compare the fingerprints first."
        return None
