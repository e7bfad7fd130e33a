"""What every test may ask for: a lab of its own on loopback, quick and quiet."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from hvconsole.lab import Lab
from hvconsole.lab.identity import make_identity
from hvconsole.lab.sites import Identity

# How long an example takes says more about the other tests on this machine than about the code.
hypothesis.settings.register_profile("hvconsole", deadline=None)
hypothesis.settings.load_profile("hvconsole")


@pytest.fixture(scope="session")
def lab_identity() -> Identity:
    """One certificate for all labs of the run."""
    return make_identity()


@pytest.fixture
def lab(lab_identity: Identity) -> Iterator[Lab]:
    """A running lab with the default XenServer pool, in which everything is immediate."""
    running = Lab(kinds=("xenserver",), identity=lab_identity)
    running.start()
    yield running
    running.stop()
