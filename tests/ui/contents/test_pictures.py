"""ui/pictures.py: pictures of servers are hostile until decoded."""

from __future__ import annotations

import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hvconsole.errors import BadReply
from hvconsole.ui.pictures import MOST_BYTES, decode, fitted


def picture(form: str, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(("form", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "L")])
def test_png_and_jpeg_become_opaque(form: str, mode: str) -> None:
    decoded = decode(picture(form, mode=mode))
    assert (decoded.mode, decoded.size) == ("RGB", (64, 48))


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "ICO"])
def test_other_formats_are_not_even_tried(form: str) -> None:
    with pytest.raises(BadReply):
        decode(picture(form))


def test_a_picture_that_inflates_to_gigabytes_is_refused_before_it_does() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = (40_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(BadReply):
        decode(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(BadReply, match="too large"):
        decode(bytes(MOST_BYTES + 1))


def test_a_picture_that_wants_to_be_decoded_for_hours_is_refused_at_once() -> None:
    out = io.BytesIO()
    Image.new("RGB", (512, 512)).save(out, "JPEG", progressive=True)
    whole = out.getvalue()
    assert decode(whole).size == (512, 512)
    last_scan = whole[whole.rindex(b"\xff\xda") : -2]
    with pytest.raises(BadReply, match="too long"):
        decode(whole[:-2] + last_scan * 100_000 + whole[-2:])


@given(st.integers(0, 150), st.binary(max_size=40))
def test_damaged_pictures_are_bad_replies_and_nothing_else(place: int, junk: bytes) -> None:
    good = picture("PNG")
    try:
        decode(good[:place] + junk + good[place + len(junk) :])
    except BadReply:
        pass


def test_a_picture_is_fitted_but_not_blown_up() -> None:
    small = Image.new("RGB", (100, 50))
    assert fitted(small, 1000, 1000).size == (200, 100)
    assert fitted(small, 50, 50).size == (50, 25)
    assert fitted(small, 100, 60) is small
