"""The certificate of a lab: an ECDSA P-256 key and a self-signed certificate for loopback, made per run."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hvconsole.lab.sites import Identity

LOOPBACKS = tuple(f"127.0.0.{number}" for number in range(1, 10))


def make_identity(common_name: str = "hvconsole lab") -> Identity:
    """A fresh certificate, valid for a year from yesterday. A few milliseconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = dt.datetime.now(dt.UTC)
    alternatives: list[x509.GeneralName] = [x509.DNSName("localhost")]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in (*LOOPBACKS, "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Identity(
        certificate_pem=certificate_pem,
        key_pem=key_pem,
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        context=_context(certificate_pem, key_pem),
    )


def _context(certificate_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    handle, path = tempfile.mkstemp(suffix=".pem")  # ssl loads from files only; mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(key_pem + certificate_pem)
        context.load_cert_chain(path)
    finally:
        Path(path).unlink()
    return context
