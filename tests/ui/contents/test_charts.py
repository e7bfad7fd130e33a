"""ui/charts.py: axes that read well, and pictures that show what happened."""

from __future__ import annotations

import pytest
from PIL import Image

from hvconsole.ui.charts import (
    Beat,
    Colours,
    Dot,
    Line,
    blend,
    chart_top,
    format_ms,
    format_value,
    line_chart,
    nice_top,
    sparkline,
    time_labels,
)

COLOURS = Colours(surface="#ffffff", grid="#e6eaf0", line="#1d5fd6", faint="#758093", warn="#a15c00", bad="#c0231c")


def share(picture: Image.Image, colour: str) -> float:
    """Share of the pixels that are nearly ``colour``."""
    wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    data = picture.tobytes()
    pixels = [data[i : i + 3] for i in range(0, len(data), 3)]
    near = sum(1 for p in pixels if all(abs(a - b) < 40 for a, b in zip(p, wanted, strict=True)))
    return near / len(pixels)


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (0.7, 1), (1, 1), (1.1, 2), (2.3, 2.5), (37, 50), (99, 100), (101, 200)]
)
def test_an_axis_ends_at_a_round_number(highest: float, top: float) -> None:
    assert nice_top(highest) == pytest.approx(top)


def test_a_load_axis_ends_at_100_percent_and_a_byte_axis_at_a_binary_unit() -> None:
    assert chart_top("fraction", [0.1, None, 0.4]) == 1.0
    assert chart_top("bytes", [200 * 1024**2]) == 256 * 1024**2
    assert chart_top("bytes", [4.01 * 1024**3]) == 4 * 1024**3
    assert chart_top("bytes", [700 * 1024**2]) == 1024**3
    assert chart_top("bytes/s", []) == 1024
    assert chart_top("ms", [float("nan"), 8.0]) == 10


def test_values_read_well() -> None:
    assert format_value(0.374, "fraction") == "37 %"
    assert format_value(1536, "bytes/s") == "1.5 KiB/s"
    assert format_value(None, "bytes") == "—"
    assert [format_ms(v) for v in (0.43, 12.4, None)] == ["0.4 ms", "12 ms", "—"]


def test_time_labels_count_down_to_now_in_round_numbers() -> None:
    assert time_labels(3600) == ["−60 min", "−50 min", "−40 min", "−30 min", "−20 min", "−10 min", "now"]
    assert time_labels(600) == ["−10 min", "−8 min", "−6 min", "−4 min", "−2 min", "now"]
    assert time_labels(60)[0] == "−60 s"
    assert time_labels(86_400) == ["−24 h", "−20 h", "−16 h", "−12 h", "−8 h", "−4 h", "now"]
    assert time_labels(604_800)[0] == "−7 d"
    assert len(time_labels(613.0)) == 6


def test_a_lost_round_is_a_full_red_bar_and_a_half_lost_one_a_lower_amber_bar() -> None:
    good = [Beat(Dot.OK, 12.0)] * 59
    calm = sparkline([*good, Beat(Dot.OK, 12.0)], 160, 18, COLOURS)
    lost = sparkline([*good, Beat(Dot.LOST)], 160, 18, COLOURS)
    half = sparkline([*good, Beat(Dot.DEGRADED, 12.0)], 160, 18, COLOURS)
    assert share(calm, COLOURS.bad) == 0
    assert share(lost, COLOURS.bad) > 0
    assert 0 < share(half, COLOURS.warn) < share(lost, COLOURS.bad)
    assert calm.size == (160, 18)


def test_the_newest_round_is_at_the_right_even_when_there_are_few() -> None:
    picture = sparkline([Beat(Dot.LOST)], 120, 20, COLOURS)
    assert share(picture.crop((112, 0, 120, 20)), COLOURS.bad) > 0
    assert share(picture.crop((0, 0, 112, 20)), COLOURS.bad) == 0


def test_pictures_are_opaque_and_survive_nothing_to_draw() -> None:
    assert sparkline([], 100, 20, COLOURS).mode == "RGB"
    assert line_chart([], 200, 80, 1.0, COLOURS).size == (200, 80)
    assert line_chart([Line([None, None], "#1d5fd6")], 200, 80, 1.0, COLOURS).mode == "RGB"


def test_a_gap_interrupts_the_line() -> None:
    values = [0.5] * 20 + [None] * 20 + [0.5] * 20
    picture = line_chart([Line(values, "#1d5fd6", fill=False)], 600, 100, 1.0, COLOURS, rows=1)
    assert share(picture.crop((20, 0, 180, 100)), "#1d5fd6") > 0
    assert share(picture.crop((230, 0, 370, 100)), "#1d5fd6") == 0


def test_values_beyond_the_axis_stay_inside_the_picture() -> None:
    line_chart([Line([-5.0, 9.0, float("inf")], "#1d5fd6")], 100, 50, 1.0, COLOURS, lost=[1], half_lost=[0])


def test_blending_gives_an_opaque_colour() -> None:
    assert blend("#000000", "#ffffff", 0.5) == "#808080"
    assert blend("#123456", "#ffffff", 1.0) == "#123456"
