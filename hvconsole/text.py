"""Showing hostile text safely: names from servers, files and users may contain anything.

Pure functions, callable from any thread. ``safe_text`` is for window and terminal, never for the wire.
"""

from __future__ import annotations

import unicodedata

SHORT = 256
"""Longest text shown in one place, in characters; longer text is cut with an ellipsis."""


def _is_hidden(char: str) -> bool:
    # Cc controls, Cf format (bidi marks, zero width), Cs surrogates, Co private use, Zl/Zp separators
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe_text(text: str, limit: int = SHORT) -> str:
    """``text`` with every invisible, direction-changing or unpaired character shown as ⟨U+202E⟩, cut at ``limit``.

    The result can be given to Tk, a terminal or a log line as it is.
    """
    cut = text[:limit]
    if not (cut.isascii() and cut.isprintable()):
        cut = "".join(f"⟨U+{ord(c):04X}⟩" if _is_hidden(c) else c for c in cut)
    if len(text) > limit:
        cut += "…"
    return cut


def shown_name(name: str, uuid: str, limit: int = SHORT) -> str:
    """A name, safe to show; "(no name) 6f1c0a52" where it is empty or blank: something must be there to be told by."""
    return safe_text(name, limit) if name.strip() else f"(no name) {safe_text(uuid[:8])}".strip()


def safe_lines(text: str, limit: int = 20_000) -> str:
    """Like ``safe_text`` for text of several lines: line feeds and tabs stay, carriage returns before them go."""
    normal = text[:limit].replace("\r\n", "\n")
    shown = "\n".join(safe_text(line.replace("\t", "    "), limit) for line in normal.split("\n"))
    return shown + "…" if len(text) > limit else shown


def unsendable(text: str) -> str | None:
    """A sentence that says why ``text`` cannot be sent in XML, or None if it can.

    XML 1.0 has no way to carry control characters (other than tab, line feed, return), unpaired surrogates, U+FFFE and
    U+FFFF; the encoders of all three client libraries pass them through and make a broken document.
    """
    for char in text:
        code = ord(char)
        if (code < 0x20 and char not in "\t\n\r") or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF):
            return f"The character U+{code:04X} can't be used in a name or description."
    return None


def format_bytes(count: int | None) -> str:
    """A size in binary units for people: "1.5 GiB"; an em dash where not known."""
    if count is None:
        return "—"
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError


def format_took(seconds: float) -> str:
    """How long something took, rather exactly: "0.4 s", "12 s", "3 min 5 s", "2 h 3 min"; never nothing."""
    if seconds < 9.95:
        return f"{max(0.1, seconds):.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return format_duration(seconds)


def format_duration(seconds: float) -> str:
    """A duration for people: "12 s", "3 min", "5 h 10 min", "41 days"."""
    whole = int(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"
