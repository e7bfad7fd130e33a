"""Certificates: what a server presents, whether it is the pinned one, and how to tell the user.

A pin is the SHA-256 of the leaf certificate, per host and port. It is compared after every handshake and before the
first byte of a request, on every connection, whatever a certificate authority says and whatever the host is called.
Any thread.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import ssl
import warnings
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from hvconsole.backends.base import Trust
from hvconsole.errors import CertificateError
from hvconsole.model import Certificate


class PinnedContext(ssl.SSLContext):
    """TLS settings for connections whose certificate is checked by ``check_pin``, not by authorities.

    Reads nothing from the environment (``SSLKEYLOGFILE``, CA bundles). ``legacy`` allows TLS 1.0 for hosts as old as
    XenServer 6.5; ``client_certificate`` is (certificate file, key file) for servers that ask for one.
    """

    def __new__(cls, *, legacy: bool = False, client_certificate: tuple[str, str] | None = None) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, *, legacy: bool = False, client_certificate: tuple[str, str] | None = None) -> None:
        self.check_hostname = False
        self.verify_mode = ssl.CERT_NONE
        if legacy:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the user asked for it, for this server
                self.minimum_version = ssl.TLSVersion.TLSv1
            self.set_ciphers("DEFAULT:@SECLEVEL=0")
        else:
            self.minimum_version = ssl.TLSVersion.TLSv1_2
        if client_certificate is not None:
            self.load_cert_chain(*client_certificate)


def check_pin(trust: Trust, host: str, port: int, der: bytes | None) -> None:
    """Compare the leaf certificate ``der`` with the pin for ``host``:``port``.

    Raises ``CertificateError`` with reason "unknown" (nobody accepted one yet) or "changed" (``pinned`` beside
    ``presented``). There is no way to ignore it.
    """
    if not der:
        raise CertificateError(f"{host} presented no certificate.", reason="unknown")
    pinned = trust.pinned(host, port)
    sha256 = hashlib.sha256(der).hexdigest()
    if pinned is not None and hmac.compare_digest(pinned.sha256, sha256):
        return
    presented = describe(host, port, der)
    if pinned is None:
        raise CertificateError(
            f"The certificate of {host} is not known yet. Compare its fingerprint with the server's own console.",
            reason="unknown",
            presented=presented,
        )
    raise CertificateError(
        f"The certificate of {host} has changed. Nothing was sent. "
        "Accept the new one only if you know why it was replaced.",
        reason="changed",
        presented=presented,
        pinned=pinned,
    )


def describe(host: str, port: int, der: bytes) -> Certificate:
    """The facts of a certificate; those that cannot be read stay empty, the fingerprint is always there."""
    subject, issuer = "", ""
    not_before: dt.datetime | None = None
    not_after: dt.datetime | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cryptography warns about odd but legal certificates
            leaf = x509.load_der_x509_certificate(der)
            not_before, not_after = leaf.not_valid_before_utc, leaf.not_valid_after_utc
            subject, issuer = leaf.subject.rfc4514_string(), leaf.issuer.rfc4514_string()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        pass  # hostile or ancient; the fingerprint below is what counts
    return Certificate(
        host=host,
        port=port,
        sha256=hashlib.sha256(der).hexdigest(),
        subject=subject,
        issuer=issuer,
        not_before=not_before,
        not_after=not_after,
    )
