"""The tabs of the window: one file each, listed in their order. Tk thread only."""

from __future__ import annotations

from hvconsole.ui.interfaces import PageClass
from hvconsole.ui.pages.console import ConsolePage
from hvconsole.ui.pages.general import GeneralPage
from hvconsole.ui.pages.history import HistoryPage
from hvconsole.ui.pages.monitor import MonitorPage
from hvconsole.ui.pages.network import NetworkPage
from hvconsole.ui.pages.performance import PerformancePage
from hvconsole.ui.pages.snapshots import SnapshotsPage
from hvconsole.ui.pages.vms import VmsPage

PAGES: tuple[PageClass, ...] = (
    GeneralPage,
    VmsPage,
    SnapshotsPage,
    NetworkPage,
    PerformancePage,
    MonitorPage,
    ConsolePage,
    HistoryPage,
)
"""In the order of the tabs."""
