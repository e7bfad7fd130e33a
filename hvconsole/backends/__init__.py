"""Backends: one module tree per platform behind the contract in ``base``. Only this file knows all platforms."""

from __future__ import annotations

from hvconsole.backends.advice import ADVICE, NO_ADVICE
from hvconsole.backends.base import Hypervisor, Secret, Target, Trust
from hvconsole.clock import Clock
from hvconsole.errors import InvalidInput

__all__ = ["ADVICE", "DEFAULT_PORTS", "DEFAULT_USERS", "LOCAL_LOGIN", "NO_ADVICE", "TRACEABLE", "open_hypervisor"]

DEFAULT_PORTS = {"xenserver": 443, "vsphere": 443, "hyperv": 5986}
"""Platform → port used where an address names none."""

TRACEABLE = frozenset({"hyperv"})
"""Platforms whose messages ``--trace`` can record."""

LOCAL_LOGIN = frozenset({"xenserver"})
"""Platforms on which a member of a pool can be logged in to alone, when its master is dead."""

DEFAULT_USERS = {"xenserver": "root", "vsphere": "root", "hyperv": "Administrator"}
"""Platform → user preset in the Connect dialog."""


def open_hypervisor(target: Target, secret: Secret, trust: Trust, clock: Clock) -> Hypervisor:
    """Log in. Blocks at most about 20 s; worker threads only.

    Raises ``ConnectError`` (all kinds), ``InvalidInput`` for an unknown platform. Client libraries are imported here,
    not at start-up, because they are large.
    """
    if target.platform == "xenserver":
        from hvconsole.backends.xenserver import open_xenserver

        return open_xenserver(target, secret, trust, clock)
    if target.platform == "vsphere":
        from hvconsole.backends.vsphere import open_vsphere

        return open_vsphere(target, secret, trust, clock)
    if target.platform == "hyperv":
        from hvconsole.backends.hyperv import open_hyperv

        return open_hyperv(target, secret, trust, clock)
    raise InvalidInput(f"There is no backend called “{target.platform}”.")
