"""A host of the lab that is logged in, for every test of its verbs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hvconsole.backends.base import TaskContext
from hvconsole.backends.hyperv import HypervHost
from hvconsole.lab.sites import Identity
from hvconsole.model import Inventory
from tests.backends.hyperv_lab import HypervLab, first, hyperv_lab


@pytest.fixture
def hosts(lab_identity: Identity) -> Iterator[HypervLab]:
    with hyperv_lab(lab_identity) as running:
        yield running


@pytest.fixture
def hv(hosts: HypervLab) -> HypervHost:
    return hosts.log_in()


@pytest.fixture
def inventory(hv: HypervHost) -> Inventory:
    return first(hv)


@pytest.fixture
def ctx() -> TaskContext:
    return TaskContext()
