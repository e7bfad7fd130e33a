"""Charts and small pictures as pure Pillow drawing: sparklines, line charts, and the arithmetic of their axes.

Nothing in here touches Tk, so drawing may happen in any thread; only ``PhotoImage.paste`` of the result belongs to the
Tk thread. Everything is drawn larger and reduced, because Tk's own canvas lines are not antialiased on X11.
Every picture is opaque: translucent ones are several times slower to draw on X11.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from hvconsole.text import format_bytes


class Dot(enum.Enum):
    """What one round of pings looked like; the values are those of the monitor's round results."""

    OK = "ok"
    DEGRADED = "degraded"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Beat:
    """One round in a sparkline. ``rtt_ms`` is None where nothing came back."""

    dot: Dot
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours a chart needs, as "#rrggbb"."""

    surface: str
    grid: str
    line: str
    faint: str
    warn: str
    bad: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; ``None`` interrupts it."""

    values: Sequence[float | None]
    colour: str
    fill: bool = True


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def blend(over: str, under: str, share: float) -> str:
    """``share`` (0..1) of ``over`` on ``under``: what a translucent colour looks like, but opaque."""
    mixed = [round(a * share + b * (1 - share)) for a, b in zip(_rgb(over), _rgb(under), strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


# ---- axes -------------------------------------------------------------------------------------------------


def nice_top(highest: float) -> float:
    """The smallest of 1, 2, 2.5, 5 × 10ⁿ that is not below ``highest``; 1 for nothing at all."""
    if highest <= 0 or not math.isfinite(highest):
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    for step in (1.0, 2.0, 2.5, 5.0, 10.0):
        if step * power >= highest * 0.999999:
            return step * power
    raise AssertionError


def nice_top_bytes(highest: float) -> float:
    """The power of two that is not below ``highest`` (give or take 1 %): its quarters read well in binary units."""
    if highest <= 1024 or not math.isfinite(highest):
        return 1024.0
    return float(2.0 ** math.ceil(math.log2(highest * 0.99)))


def chart_top(unit: str, values: Sequence[float | None]) -> float:
    """The upper end of the axis for values of a ``model.Series`` unit ("fraction", "bytes", "bytes/s") or "ms"."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    highest = max(known, default=0.0)
    if unit == "fraction":
        return 1.0 if highest <= 1.0 else nice_top(highest)
    if unit.startswith("bytes"):
        return nice_top_bytes(highest)
    return nice_top(highest)


def format_value(value: float | None, unit: str) -> str:
    """A value of an axis or a legend for people."""
    if value is None or not math.isfinite(value):
        return "—"
    if unit == "fraction":
        return f"{value * 100:.0f} %"
    if unit == "bytes":
        return format_bytes(round(value))
    if unit == "bytes/s":
        return format_bytes(round(value)) + "/s"
    if unit == "ms":
        return format_ms(value)
    return f"{value:.3g}"


def format_ms(value: float | None) -> str:
    """A round-trip time: "0.4 ms", "12 ms"."""
    if value is None:
        return "—"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


_SPAN_UNITS = ((180, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (math.inf, 86_400, "d"))


def time_labels(span_s: float) -> list[str]:
    """Labels at equal distances, from the oldest moment to "now", in the unit and number that read best."""
    _, unit_s, name = next(unit for unit in _SPAN_UNITS if span_s < unit[0])
    whole = span_s / unit_s
    count = next((n for n in (6, 5, 7, 4, 3) if abs(whole / n - round(whole / n)) < 1e-6), 5)
    return [*(f"−{whole * n / count:.3g} {name}" for n in range(count, 0, -1)), "now"]


# ---- pictures ---------------------------------------------------------------------------------------------


def sparkline(
    beats: Sequence[Beat], width: int, height: int, colours: Colours, *, scale: float = 1.0, slots: int = 60
) -> Image.Image:
    """The last ``slots`` rounds, newest at the right, in ``width`` × ``height`` pixels of the screen.

    Lost rounds are red bars of the full height and half-lost ones amber bars of half the height, so that neither is
    told by colour alone; rounds that could not be judged are faint dots on the floor.
    """
    factor = 3
    wide, high = width * factor, height * factor
    picture = Image.new("RGB", (wide, high), colours.surface)
    draw = ImageDraw.Draw(picture)
    recent = list(beats)[-slots:]
    margin = 2 * factor
    pitch = (wide - 2 * margin) / max(1, slots)
    floor, ceiling = high - margin, margin
    known = [b.rtt_ms for b in recent if b.rtt_ms is not None]
    top = max([*known, 1.0]) * 1.15
    bar = max(1.0, pitch * 0.36)

    def x_of(n: int) -> float:
        return margin + (slots - len(recent) + n + 0.5) * pitch

    line: list[tuple[float, float]] = []
    lines: list[list[tuple[float, float]]] = []
    for n, beat in enumerate(recent):
        x = x_of(n)
        if beat.dot is Dot.LOST:
            draw.rectangle((x - bar, ceiling, x + bar, floor), fill=colours.bad)
        elif beat.dot is Dot.UNKNOWN:
            draw.rectangle((x - bar / 2, floor - 1.5 * factor, x + bar / 2, floor), fill=colours.faint)
        elif beat.dot is Dot.DEGRADED:
            draw.rectangle((x - bar, (ceiling + floor) / 2, x + bar, floor), fill=colours.warn)
        if beat.rtt_ms is None:
            lines.append(line)
            line = []
        else:
            line.append((x, floor - (floor - ceiling) * beat.rtt_ms / top))
    lines.append(line)
    pen = max(1, round(1.4 * factor * scale))
    for points in lines:
        if len(points) > 1:
            draw.line(points, fill=colours.line, width=pen, joint="curve")
        elif points:
            x, y = points[0]
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=colours.line)
    return picture.resize((width, height), Image.Resampling.BOX)


def line_chart(
    lines: Sequence[Line],
    width: int,
    height: int,
    top: float,
    colours: Colours,
    *,
    rows: int = 4,
    scale: float = 1.0,
    lost: Sequence[int] = (),
    half_lost: Sequence[int] = (),
) -> Image.Image:
    """A chart without text: ``rows`` grid intervals, then each line with a faint area below it.

    The first line given is drawn last, so it lies on top. ``lost`` and ``half_lost`` are indexes that get a bar.
    """
    factor = 2 if scale >= 1.5 else 3
    wide, high = width * factor, height * factor
    picture = Image.new("RGB", (wide, high), colours.surface)
    draw = ImageDraw.Draw(picture)
    count = max((len(line.values) for line in lines), default=0)

    def x_of(n: int) -> float:
        return (wide - 1) * n / max(1, count - 1)

    def y_of(value: float) -> float:
        return (high - 1) * (1 - min(1.0, max(0.0, value / top)))

    for line in reversed(lines):
        if line.fill:
            shade = blend(line.colour, colours.surface, 0.10)
            for points in _runs(line.values, x_of, y_of):
                if len(points) > 1:
                    draw.polygon([*points, (points[-1][0], high), (points[0][0], high)], fill=shade)
    pen = max(1, round(factor * scale))
    for n in range(rows + 1):
        y = min(high - pen, (high - 1) * n / rows)
        draw.rectangle((0, y, wide, y + pen - 1), fill=colours.grid)
    bar = max(1.5 * factor, (wide / max(1, count)) * 0.3)
    for n in half_lost:
        draw.rectangle((x_of(n) - bar, high / 2, x_of(n) + bar, high), fill=blend(colours.warn, colours.surface, 0.55))
    for n in lost:
        draw.rectangle((x_of(n) - bar, 0, x_of(n) + bar, high), fill=blend(colours.bad, colours.surface, 0.75))
    stroke = max(1, round(1.8 * factor * scale))
    for line in reversed(lines):
        for points in _runs(line.values, x_of, y_of):
            if len(points) > 1:
                draw.line(points, fill=line.colour, width=stroke, joint="curve")
            else:
                x, y = points[0]
                draw.ellipse((x - stroke, y - stroke, x + stroke, y + stroke), fill=line.colour)
    return picture.resize((width, height), Image.Resampling.BOX)


def _runs(
    values: Sequence[float | None], x_of: Callable[[int], float], y_of: Callable[[float], float]
) -> list[list[tuple[float, float]]]:
    """The unbroken stretches of a line as points."""
    runs: list[list[tuple[float, float]]] = []
    current: list[tuple[float, float]] = []
    for n, value in enumerate(values):
        if value is None or not math.isfinite(value):
            if current:
                runs.append(current)
            current = []
        else:
            current.append((x_of(n), y_of(value)))
    if current:
        runs.append(current)
    return runs
