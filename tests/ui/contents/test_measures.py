"""ui/pages/measures.py: a server's measurements sorted into charts."""

from __future__ import annotations

import pytest

from hvconsole.model import Metrics, Series
from hvconsole.ui.pages.measures import busiest, charts, cpu_fraction, memory_used, summed
from tests.ui.stage import GIB, HOSTILE, NOW


def metrics(*series: tuple[str, str, tuple[float | None, ...]]) -> Metrics:
    return Metrics(step_s=5, end=NOW, series=tuple(Series(name=n, unit=u, values=v) for n, u, v in series))


def test_the_load_of_all_cpus_is_their_mean_now() -> None:
    two = metrics(("cpu0", "fraction", (0.9, 0.2)), ("cpu1", "fraction", (0.9, 0.4)))
    assert cpu_fraction(two) == pytest.approx(0.3)
    assert cpu_fraction(metrics(("cpu0", "fraction", (0.5, None)))) == 0.5
    assert cpu_fraction(metrics(("cpu0", "fraction", (0.5, None, None, None)))) is None
    assert cpu_fraction(metrics()) is None


def test_a_server_that_measures_all_cpus_together_is_believed() -> None:
    found = metrics(("CPU", "fraction", (0.1,)), ("CPU 0", "fraction", (0.9,)))
    assert cpu_fraction(found) == 0.1
    assert [line.name for line in charts(found)[0].lines] == ["CPU", "CPU 0"]


def test_memory_in_use_is_what_is_given_less_what_is_free() -> None:
    assert memory_used(metrics(("Memory", "bytes", (4.0 * GIB,)), ("Memory free", "bytes", (1.0 * GIB,))), 4 * GIB) == (
        3.0 * GIB,
        4 * GIB,
    )
    assert memory_used(metrics(("memory", "bytes", (2.0 * GIB,))), 8 * GIB) == (2.0 * GIB, 8 * GIB)
    assert memory_used(metrics(), 8 * GIB) == (None, 8 * GIB)


def test_every_series_ends_up_in_a_chart() -> None:
    found = charts(
        metrics(
            ("cpu0", "fraction", (0.1,)),
            ("memory", "bytes", (1.0,)),
            ("vif_0_rx", "bytes/s", (1.0,)),
            ("vbd_xvda_read", "bytes/s", (1.0,)),
            ("runstate", "fraction", (0.1,)),
            ("strange", "furlongs", (1.0,)),
        )
    )
    assert [c.title for c in found] == ["CPU", "Memory", "Network", "Disks", "Other", "Other"]
    assert sum(len(c.lines) for c in found) == 6


def test_a_host_with_128_cpus_gets_a_readable_chart() -> None:
    found = charts(metrics(*((f"cpu{n}", "fraction", (0.5,)) for n in range(128))))
    assert [line.name for line in found[0].lines] == ["All CPUs", "Busiest of 128"]


def test_the_busiest_cpu_is_the_highest_at_every_moment() -> None:
    one, two = Series(name="a", unit="fraction", values=(0.1, 0.9)), Series(name="b", unit="fraction", values=(0.4,))
    assert busiest([one, two]).values == (0.1, 0.9)
    assert busiest([one, two, Series(name="c", unit="fraction", values=(None, None))]).values == (0.1, 0.9)


def test_series_of_different_length_are_summed_at_their_newest_end() -> None:
    one, two = Series(name="a", unit="x", values=(1.0, 2.0, 3.0)), Series(name="b", unit="x", values=(None, 10.0))
    assert summed("s", [one, two]).values == (1.0, 2.0, 13.0)


def test_hostile_names_of_series_are_shown_safely() -> None:
    assert charts(metrics((HOSTILE, "bytes/s", (1.0,))))[0].lines[0].name.isprintable()
