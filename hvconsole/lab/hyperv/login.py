"""Who is at the other end of a connection: NTLM with pyspnego's acceptor, SPNEGO around it, Basic; and message sealing.

One ``Login`` per connection, used by that connection's thread only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import struct
import tempfile
import threading
from pathlib import Path

import spnego
from cryptography import x509
from spnego._ntlm_raw.messages import Authenticate, AvId, NTClientChallengeV2
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
_BOUNDARY = b"--Encrypted Boundary"
_OCTETS = b"\tContent-Type: application/octet-stream\r\n"
_environment = threading.Lock()


class Refused(Exception):
    """Wrong name or password, or a token that makes no sense."""


class Unreadable(Exception):
    """A sealed message that does not open with this connection's key."""


def channel_binding(certificate_pem: bytes) -> bytes:
    """tls-server-end-point of a certificate (RFC 5929)."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    algorithm = certificate.signature_hash_algorithm
    name = algorithm.name if algorithm is not None and algorithm.name not in ("md5", "sha1") else "sha256"
    der = base64.b64decode(b"".join(certificate_pem.split(b"-----")[2].split()))
    return b"tls-server-end-point:" + hashlib.new(name, der).digest()


class Login:
    """The login of one connection. ``user`` and ``password`` are those that are accepted; ``binding`` is TLS's."""

    def __init__(self, user: str, password: str, binding: bytes | None, *, strict: bool = False) -> None:
        self._user = user
        self._password = password
        self._binding = binding
        self._strict = strict
        self._context: spnego.ContextProxy | None = None
        self.method = ""
        """"ntlm" or "basic" once logged in."""

    @property
    def accepted(self) -> bool:
        """Whether this connection is logged in (Basic logs in single requests, not connections)."""
        return self.method == "ntlm"

    def basic(self, value: str) -> bool:
        """Check an ``Authorization: Basic`` header."""
        try:
            user, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        right = hmac.compare_digest(password.encode(), self._password.encode())
        return right and user.rpartition("\\")[2].lower() == self._user.lower()

    def step(self, token: bytes) -> bytes | None:
        """One step of Negotiate; None once logged in. Raises ``Refused``."""
        bare = token.startswith(b"NTLMSSP\0")
        if self._context is None or self._context.complete:
            self._context = None
            self.method = ""
        try:
            with _environment:
                return self._step(token, bare)
        except (SpnegoError, ValueError, IndexError, struct.error) as exc:
            self._context = None
            raise Refused(type(exc).__name__) from exc

    def _step(self, token: bytes, bare: bool) -> bytes | None:
        # pyspnego's acceptor takes accounts only from the file that this variable names; it is set for this step alone.
        before = os.environ.get("NTLM_USER_FILE")
        handle, path = tempfile.mkstemp(prefix="hvconsole-lab-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                for domain in {"", *self._domain(token)}:
                    file.write(f"{domain}:{self._user}:{self._password}\n")
            os.environ["NTLM_USER_FILE"] = path
            if self._context is None:
                options = spnego.NegotiateOptions.use_ntlm if bare else spnego.NegotiateOptions.use_negotiate
                self._context = spnego.server(
                    hostname="lab", service="http", options=options, protocol="ntlm" if bare else "negotiate"
                )
            answer = self._context.step(token, channel_bindings=self._bindings(token))
        finally:
            if before is None:
                os.environ.pop("NTLM_USER_FILE", None)
            else:
                os.environ["NTLM_USER_FILE"] = before
            Path(path).unlink()
        if self._context.complete:
            self.method = "ntlm"
        return answer

    @staticmethod
    def _authenticate(token: bytes) -> Authenticate | None:
        position = token.find(b"NTLMSSP\0\x03")
        return Authenticate.unpack(token[position:]) if position >= 0 else None

    def _domain(self, token: bytes) -> list[str]:
        """Any domain is accepted for the local account, as a workgroup host does."""
        message = self._authenticate(token)
        return [message.domain_name] if message is not None and message.domain_name else []

    def _bindings(self, token: bytes) -> GssChannelBindings | None:
        """Relaxed hardening: a client that sends no binding passes, one that sends a wrong one does not.

        ``strict`` (CbtHardeningLevel=Strict): one that sends none does not pass either.
        """
        message = self._authenticate(token)
        if self._binding is None or message is None:
            return None
        response = message.nt_challenge_response or b""
        if self._strict:
            return GssChannelBindings(application_data=self._binding)
        if len(response) <= 24 or AvId.channel_bindings not in NTClientChallengeV2.unpack(response[16:]).av_pairs:
            return None
        return GssChannelBindings(application_data=self._binding)

    # ---- sealing -------------------------------------------------------------------------------------------

    def open(self, body: bytes) -> bytes:
        """The message inside a sealed body. Raises ``Unreadable``."""
        if self._context is None or not self._context.complete:
            raise Unreadable("not logged in")
        parts = body.split(_BOUNDARY + b"\r\n", 2)
        if len(parts) != 3 or not parts[2].startswith(_OCTETS):
            raise Unreadable("not multipart/encrypted")
        length = parts[1].rpartition(b"Length=")[2].strip()
        sealed = parts[2][len(_OCTETS) :].removesuffix(_BOUNDARY + b"--\r\n")
        if len(sealed) < 20 or not length.isdigit():
            raise Unreadable("too short")
        size = struct.unpack("<i", sealed[:4])[0]
        if not 0 < size <= 64:
            raise Unreadable("bad signature length")
        try:
            message = self._context.unwrap_winrm(sealed[4 : 4 + size], sealed[4 + size :])
        except SpnegoError as exc:
            raise Unreadable(type(exc).__name__) from exc
        if len(message) != int(length):
            raise Unreadable("wrong length")
        return message

    def seal(self, message: bytes) -> tuple[str, bytes]:
        """(content type, body) of a sealed answer."""
        assert self._context is not None
        sealed = self._context.wrap_winrm(message)
        body = b"".join(
            (
                _BOUNDARY,
                b"\r\n\tContent-Type: ",
                PROTOCOL.encode(),
                b"\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=",
                str(len(message)).encode(),
                b"\r\n",
                _BOUNDARY,
                b"\r\n",
                _OCTETS,
                struct.pack("<i", len(sealed.header)),
                sealed.header,
                sealed.data,
                _BOUNDARY,
                b"--\r\n",
            )
        )
        return f'multipart/encrypted;protocol="{PROTOCOL}";boundary="Encrypted Boundary"', body
