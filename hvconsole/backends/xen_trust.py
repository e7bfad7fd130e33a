"""Which certificates count for the members of a pool: those the user accepted, and those the master vouches for.

The master, reached through a verified session, tells each member's certificate. That is good for reading measurements
and pictures at the member with the session of this login; it is never written to the user's store, and a certificate
that the user accepted for an address always wins. Any thread.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
import threading

from hvconsole.backends.base import Trust
from hvconsole.backends.xen_session import XenSession
from hvconsole.errors import HvError
from hvconsole.model import Certificate

log = logging.getLogger(__name__)

MAX_PEM = 64_000


class PoolTrust:
    """The user's pins, with those of the pool's members behind them for the length of a login."""

    def __init__(self, pins: Trust) -> None:
        self._pins = pins
        self._vouched: dict[tuple[str, int], Certificate] = {}
        self._lock = threading.Lock()

    def pinned(self, host: str, port: int) -> Certificate | None:
        """The accepted certificate, or the one that the master named."""
        accepted = self._pins.pinned(host, port)
        if accepted is not None:
            return accepted
        with self._lock:
            return self._vouched.get((host, port))

    def learn(self, session: XenSession, host_ref: str, address: str) -> bool:
        """Ask the master for the certificate of a member at ``address``; whether there is a pin for it now."""
        port = session.address[1]
        if self.pinned(address, port) is not None:
            return True
        try:
            pem = session.call("host.get_server_certificate", host_ref)
            if not isinstance(pem, str) or len(pem) > MAX_PEM:
                return False
            der = ssl.PEM_cert_to_DER_cert(_first(pem))
        except (HvError, ValueError) as exc:
            log.info("the pool doesn't tell the certificate of %s: %s", address, exc)
            return False
        with self._lock:
            self._vouched[(address, port)] = Certificate(
                host=address, port=port, sha256=hashlib.sha256(der).hexdigest()
            )
        return True


def _first(pem: str) -> str:
    """The leaf of a chain, which comes first."""
    end = "-----END CERTIFICATE-----"
    head, found, _rest = pem.strip().partition(end)
    return head + found if found else pem.strip()
