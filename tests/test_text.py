"""Hostile text is shown, never obeyed; what cannot be sent is named."""

import unicodedata
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole.text import (
    SHORT,
    format_bytes,
    format_duration,
    format_took,
    safe_lines,
    safe_text,
    shown_name,
    unsendable,
)

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=400)


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("web-01", "web-01"),
        ("Büro 日本", "Büro 日本"),
        ("[exec rm -rf]", "[exec rm -rf]"),
        ("a\0b", "a⟨U+0000⟩b"),
        ("a\nb\tc", "a⟨U+000A⟩b⟨U+0009⟩c"),
        ("\x1b[31mred", "⟨U+001B⟩[31mred"),
        ("‮gpj.exe", "⟨U+202E⟩gpj.exe"),
        ("\ud800", "⟨U+D800⟩"),
        ("x​y", "x⟨U+200B⟩y"),
    ],
)
def test_invisible_characters_become_visible(given_text, shown):
    assert safe_text(given_text) == shown


def test_long_text_is_cut_and_says_so():
    assert safe_text("x" * 100_000) == "x" * SHORT + "…"
    assert safe_text("abc", 2) == "ab…"
    assert safe_text("abc", 3) == "abc"


@given(ANY_TEXT)
def test_whatever_comes_in_can_be_encoded_and_has_nothing_hidden(text):
    shown = safe_text(text)
    shown.encode("utf-8")
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for c in shown)


def test_lines_stay_lines():
    assert safe_lines("one\r\ntwo\n\tthree\x07") == "one\ntwo\n    three⟨U+0007⟩"
    assert safe_lines("abcdef", 3) == "abc…"


@given(ANY_TEXT)
def test_what_is_called_sendable_makes_a_readable_document(text):
    reason = unsendable(text)
    if reason is None:
        assert ET.fromstring(f"<a>{escape(text)}</a>").tag == "a"
    else:
        assert "U+" in reason


@pytest.mark.parametrize("bad", ["\0", "\x0b", "\ud800", "\udfff", "\ufffe", "\uffff"])  # noqa: PT014 - they differ
def test_characters_that_no_xml_can_carry_are_refused(bad):
    assert f"U+{ord(bad):04X}" in unsendable(f"web{bad}")


@pytest.mark.parametrize("good", ["", "web\t\n\r", "Ω≈ç", "😀", "<&>\"'"])
def test_everything_else_can_be_sent(good):
    assert unsendable(good) is None


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "—"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (200 * 1024, "200 KiB"),
        (8 << 30, "8.0 GiB"), (5000 << 40, "5000 TiB"), (-2048, "-2.0 KiB"),
    ],
)  # fmt: skip
def test_sizes_for_people(count, shown):
    assert format_bytes(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "0 s"), (89, "89 s"), (90, "1 min"), (5399, "89 min"), (5400, "1 h 30 min"), (7200, "2 h"),
        (47 * 3600, "47 h"), (41 * 86400, "41 days"),
    ],
)  # fmt: skip
def test_durations_for_people(seconds, shown):
    assert format_duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.1 s"), (0.42, "0.4 s"), (2.8, "2.8 s"), (9.96, "10 s"), (12.4, "12 s"), (101.0, "101 s"),
        (185.0, "3 min 5 s"), (7199.0, "119 min 59 s"), (7200.0, "2 h"), (7380.0, "2 h 3 min"),
    ],
)  # fmt: skip
def test_how_long_something_took(seconds, shown):
    assert format_took(seconds) == shown


@pytest.mark.parametrize("name", ["", "   ", "\u2003\n"])
def test_a_vm_without_a_name_can_still_be_told_by_something(name):
    assert shown_name(name, "6f1c0a52-1111") == "(no name) 6f1c0a52"


def test_a_character_that_no_font_can_have_is_shown_by_its_number():
    assert safe_text("a\u0378b") == "a⟨U+0378⟩b"
