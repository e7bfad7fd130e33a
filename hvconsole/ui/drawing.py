"""Drawing the window's pictures with Pillow: icons, state signs, rounded boxes, bars, sparklines.

Pure functions from numbers and colours to ``PIL.Image``; no Tk in here, so any thread may draw. All sizes are in pixels
of the screen, already scaled. Everything is drawn several times larger and reduced, which is what makes edges smooth.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from importlib import resources
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

OVERSAMPLE = 4
FINE = 8
"""For shapes of 16 px, where 4 × would still show steps."""

CLEAR = (0, 0, 0, 0)


@functools.cache
def _icon_font_bytes() -> bytes:
    return resources.files("hvconsole.ui").joinpath("assets/hvicons.ttf").read_bytes()


@functools.cache
def _codepoints() -> dict[str, int]:
    table = json.loads(resources.files("hvconsole.ui").joinpath("assets/icons.json").read_text("utf-8"))
    return {str(name): int(code) for name, code in table.items()}


@functools.lru_cache(maxsize=32)
def _icon_font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(BytesIO(_icon_font_bytes()), size)


def icon_names() -> frozenset[str]:
    """Names of all icons that the font holds."""
    return frozenset(_codepoints())


def glyph(name: str, size: int, color: str) -> Image.Image:
    """Icon ``name`` in a square of ``size`` pixels. Raises ``KeyError`` for a name that the font lacks."""
    large = size * OVERSAMPLE
    image = Image.new("RGBA", (large, large), CLEAR)
    char = chr(_codepoints()[name])
    ImageDraw.Draw(image).text((large / 2, large / 2), char, font=_icon_font(large), fill=color, anchor="mm")
    return image.resize((size, size), Image.Resampling.LANCZOS)


def rounded(
    width: int,
    height: int,
    radius: int,
    *,
    fill: str | None = None,
    edge: str | None = None,
    edge_width: int = 1,
    underline: str | None = None,
    underline_height: int = 2,
) -> Image.Image:
    """A rounded box, or what is left of one: without ``fill`` and ``edge`` it is empty."""
    k = OVERSAMPLE
    image = Image.new("RGBA", (width * k, height * k), CLEAR)
    draw = ImageDraw.Draw(image)
    outer = (0, 0, width * k - 1, height * k - 1)
    if edge:
        inset = max(1, edge_width)
        draw.rounded_rectangle(outer, radius * k, fill=edge)
        inner = (inset * k, inset * k, (width - inset) * k - 1, (height - inset) * k - 1)
        draw.rounded_rectangle(inner, max(0, radius - inset) * k, fill=fill or CLEAR)
    elif fill:
        draw.rounded_rectangle(outer, radius * k, fill=fill)
    if underline:
        draw.rectangle((0, (height - underline_height) * k, width * k, height * k), fill=underline)
    return image.resize((width, height), Image.Resampling.BOX)


def state_sign(state: str, size: int, *, ok: str, warn: str, bad: str, off: str, info: str, hole: str) -> Image.Image:
    """The sign of a power state: shape and colour both differ, for people who see no colour.

    ``state``: running (▶ disc), halted (hollow square), suspended (‖ disc), paused (‖ in a ring), error (! triangle),
    busy (ring with a gap); anything else is a ring with a question mark. ``hole`` is the colour of the sign's inside.
    """
    s = float(size * FINE)
    image = Image.new("RGBA", (size * FINE, size * FINE), CLEAR)
    draw = ImageDraw.Draw(image)
    margin = s * 0.07
    disc = (margin, margin, s - margin, s - margin)
    ring_width = int(s * 0.105)

    def bars(color: str) -> None:
        draw.rectangle((s * 0.34, s * 0.32, s * 0.44, s * 0.68), fill=color)
        draw.rectangle((s * 0.56, s * 0.32, s * 0.66, s * 0.68), fill=color)

    if state == "running":
        draw.ellipse(disc, fill=ok)
        draw.polygon([(s * 0.40, s * 0.30), (s * 0.40, s * 0.70), (s * 0.72, s * 0.5)], fill=hole)
    elif state == "suspended":
        draw.ellipse(disc, fill=warn)
        bars(hole)
    elif state == "paused":
        draw.ellipse(disc, outline=warn, width=ring_width)
        bars(warn)
    elif state == "halted":
        draw.rounded_rectangle((s * 0.16, s * 0.16, s * 0.84, s * 0.84), s * 0.14, outline=off, width=ring_width)
    elif state == "error":
        draw.polygon([(s * 0.5, s * 0.08), (s * 0.95, s * 0.90), (s * 0.05, s * 0.90)], fill=bad)
        draw.rectangle((s * 0.455, s * 0.36, s * 0.545, s * 0.64), fill=hole)
        draw.rectangle((s * 0.455, s * 0.71, s * 0.545, s * 0.80), fill=hole)
    elif state == "busy":
        draw.arc(disc, 0, 270, fill=info, width=ring_width)
    else:
        draw.ellipse(disc, outline=off, width=int(s * 0.085))
        draw.arc((s * 0.36, s * 0.26, s * 0.64, s * 0.54), 170, 430, fill=off, width=int(s * 0.085))
        draw.rectangle((s * 0.455, s * 0.50, s * 0.545, s * 0.62), fill=off)
        draw.rectangle((s * 0.455, s * 0.68, s * 0.545, s * 0.77), fill=off)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def check_box(checked: bool, size: int, *, fill: str, mark: str, ground: str, edge: str) -> Image.Image:
    """A tick box."""
    s = float(size * FINE)
    image = Image.new("RGBA", (size * FINE, size * FINE), CLEAR)
    draw = ImageDraw.Draw(image)
    m = s * 0.06
    if checked:
        draw.rounded_rectangle((m, m, s - m, s - m), s * 0.2, fill=fill)
        hook = [(s * 0.26, s * 0.52), (s * 0.43, s * 0.69), (s * 0.75, s * 0.33)]
        draw.line(hook, fill=mark, width=int(s * 0.115), joint="curve")
    else:
        draw.rounded_rectangle((m, m, s - m, s - m), s * 0.2, fill=ground, outline=edge, width=int(s * 0.085))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def radio_button(chosen: bool, size: int, *, fill: str, mark: str, ground: str, edge: str) -> Image.Image:
    """A radio button."""
    s = float(size * FINE)
    image = Image.new("RGBA", (size * FINE, size * FINE), CLEAR)
    draw = ImageDraw.Draw(image)
    m = s * 0.06
    if chosen:
        draw.ellipse((m, m, s - m, s - m), fill=fill)
        draw.ellipse((s * 0.34, s * 0.34, s * 0.66, s * 0.66), fill=mark)
    else:
        draw.ellipse((m, m, s - m, s - m), fill=ground, outline=edge, width=int(s * 0.085))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def funnel(size: int, color: str) -> Image.Image:
    """The sign of a filter, in the line style of the icon font."""
    s = float(size * FINE)
    image = Image.new("RGBA", (size * FINE, size * FINE), CLEAR)
    draw = ImageDraw.Draw(image)
    stroke = int(s / 12)
    edge = [(0.12, 0.16), (0.88, 0.16), (0.60, 0.50), (0.60, 0.84), (0.40, 0.74), (0.40, 0.50), (0.12, 0.16)]
    points = [(s * x, s * y) for x, y in edge]
    draw.line([*points, points[1]], fill=color, width=stroke, joint="curve")
    return image.resize((size, size), Image.Resampling.LANCZOS)


def badge(icon: Image.Image, color: str, ground: str) -> Image.Image:
    """``icon`` with a small warning triangle in its lower right corner."""
    size = icon.width
    k = FINE
    s = float(size * k)
    sign = Image.new("RGBA", (size * k, size * k), CLEAR)
    draw = ImageDraw.Draw(sign)
    draw.polygon([(s * 0.70, s * 0.34), (s * 1.08, s * 1.06), (s * 0.32, s * 1.06)], fill=ground)
    draw.polygon([(s * 0.70, s * 0.46), (s * 0.98, s * 0.98), (s * 0.42, s * 0.98)], fill=color)
    result = icon.copy()
    result.alpha_composite(sign.resize((size, size), Image.Resampling.LANCZOS))
    return result


def beside(parts: Sequence[Image.Image], gaps: Sequence[int], trailing: int) -> Image.Image:
    """Pictures of one height in a row; ``gaps`` between them, ``trailing`` empty pixels at the end."""
    width = sum(p.width for p in parts) + sum(gaps) + trailing
    image = Image.new("RGBA", (width, max(p.height for p in parts)), CLEAR)
    x = 0
    for part, gap in zip(parts, (*gaps, 0), strict=True):
        image.paste(part, (x, 0))
        x += part.width + gap
    return image


def progress(fraction: float, width: int, height: int, *, fill: str, track: str) -> Image.Image:
    """A progress bar; ``fraction`` 0..1."""
    k = OVERSAMPLE
    image = Image.new("RGBA", (width * k, height * k), CLEAR)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, width * k - 1, height * k - 1), height * k / 2, fill=track)
    if fraction > 0:
        length = max(height * k, round(width * k * min(1.0, fraction)))
        draw.rounded_rectangle((0, 0, length - 1, height * k - 1), height * k / 2, fill=fill)
    return image.resize((width, height), Image.Resampling.BOX)


def sparkline(
    values: Sequence[float | None],
    width: int,
    height: int,
    *,
    line: str,
    lost: str,
    limit_line: str,
    stroke: float = 1.5,
    limit: float | None = None,
    top: float | None = None,
    slots: int | None = None,
) -> Image.Image:
    """A line of values, oldest left; None is a lost round, drawn as a bar of full height so that it is not only colour.

    ``slots``: places for values; fewer values fill it from the right. ``limit``: dashed line at that value. ``top``:
    value at the upper edge (default: the largest). ``stroke``: width of the line in pixels.
    """
    k = 3
    wide, high = width * k, height * k
    image = Image.new("RGBA", (wide, high), CLEAR)
    draw = ImageDraw.Draw(image)
    known = [v for v in values if v is not None]
    ceiling = top or max([*known, limit or 0.0, 1.0]) * 1.1
    places = max(2, slots or len(values))
    margin = 2 * k
    step = (wide - 2 * margin) / (places - 1)
    offset = places - len(values)

    def x_of(index: int) -> float:
        return margin + (offset + index) * step

    def y_of(value: float) -> float:
        return high - margin - (high - 2 * margin) * min(1.0, value / ceiling)

    if limit:
        y = y_of(limit)
        for left in range(0, wide, 6 * k):
            draw.line((left, y, left + 3 * k, y), fill=limit_line, width=k)
    bar = max(float(k), stroke * k / 2)
    segment: list[tuple[float, float]] = []
    for index, value in enumerate((*values, None)):
        if value is not None:
            segment.append((x_of(index), y_of(value)))
            continue
        if len(segment) > 1:
            draw.line(segment, fill=line, width=max(1, round(stroke * k)), joint="curve")
        elif segment:
            dot = stroke * k
            x, y = segment[0]
            draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=line)
        segment = []
        if index < len(values):
            draw.rectangle((x_of(index) - bar, margin, x_of(index) + bar, high - margin), fill=lost)
    return image.resize((width, height), Image.Resampling.BOX)


def flatten(image: Image.Image, ground: str) -> Image.Image:
    """``image`` on an opaque ground. Translucent pictures make X11 read the screen back: 4 to 8 times slower."""
    flat = Image.new("RGB", image.size, ground)
    flat.paste(image, (0, 0), image)
    return flat


def app_icon(size: int) -> Image.Image:
    """The program's own icon: a screen with a pulse line."""
    k = OVERSAMPLE
    s = float(size * k)
    image = Image.new("RGBA", (size * k, size * k), CLEAR)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((s * 0.03, s * 0.06, s * 0.97, s * 0.78), s * 0.13, fill="#1D5FD6")
    draw.rounded_rectangle((s * 0.10, s * 0.13, s * 0.90, s * 0.71), s * 0.07, fill="#0F2A5E")
    pulse = [(0.14, 0.45), (0.34, 0.45), (0.43, 0.24), (0.55, 0.62), (0.63, 0.45), (0.86, 0.45)]
    draw.line([(s * x, s * y) for x, y in pulse], fill="#5FE3A8", width=max(1, int(s * 0.055)), joint="curve")
    draw.rectangle((s * 0.42, s * 0.78, s * 0.58, s * 0.88), fill="#1D5FD6")
    draw.rounded_rectangle((s * 0.26, s * 0.87, s * 0.74, s * 0.96), s * 0.04, fill="#1D5FD6")
    return image.resize((size, size), Image.Resampling.LANCZOS)
