"""Decoding pictures that servers send: hostile input. Pure; worker threads (decoding takes time)."""

from __future__ import annotations

import io
import warnings

from PIL import Image

from hvconsole.errors import BadReply

MOST_BYTES = 8 * 1024 * 1024
MOST_PIXELS = 4096 * 4096
MOST_SCANS = 100
"""Passes of a progressive JPEG, which has ten: a picture of a few megabytes could ask for hours of them."""
FORMATS = ("PNG", "JPEG")


def decode(data: bytes) -> Image.Image:
    """A PNG or JPEG as an opaque RGB picture. Raises ``BadReply`` for anything else, and for what is absurdly large."""
    if len(data) > MOST_BYTES:
        raise BadReply("The server's picture is too large.")
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MOST_SCANS:
        raise BadReply("The server's picture takes too long to decode.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of bombs; the limit here is far lower
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            wide, high = picture.size
            if wide < 1 or high < 1 or wide * high > MOST_PIXELS:
                raise BadReply("The server's picture is too large.")
            return picture.convert("RGB")
    except BadReply:
        raise
    except Exception as exc:  # decoders raise what they like at broken input; all of it is a bad reply
        raise BadReply("The server's picture can't be read.", type(exc).__name__) from exc


def fitted(picture: Image.Image, wide: int, high: int) -> Image.Image:
    """``picture`` made to fit into a box, never larger than twice its size."""
    scale = min(wide / picture.width, high / picture.height, 2.0)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)
