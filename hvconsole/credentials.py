"""Passwords of saved servers: in the system's keyring if the user ticked that and it is a safe one, else in memory.

Keyrings may block for ever (a locked one waits for its own dialog), so every call runs on a thread of its own with a
time limit. Worker threads only, except ``remembered`` and ``remember`` (memory). Raises ``LocalError`` with a sentence
for the user; no password is ever in an error or a log line.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hvconsole.backends.base import Secret
from hvconsole.errors import LocalError
from hvconsole.model import ServerId

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

log = logging.getLogger(__name__)

SERVICE = "hvconsole"
KEYRING_LIMIT_S = 15.0
"""How long a keyring may take; the user may have to unlock it meanwhile."""

_SAFE_MODULES = {
    "keyring.backends.SecretService": "Secret Service",
    "keyring.backends.libsecret": "Secret Service",
    "keyring.backends.kwallet": "KWallet",
    "keyring.backends.Windows": "Windows Credential Manager",
    "keyring.backends.macOS": "macOS Keychain",
}
"""Keyrings that encrypt. Anything else (null, fail, plaintext files of keyrings.alt, unknown add-ons) is refused."""

NO_KEYRING = "This computer has no keyring that can keep passwords safely; the password is kept until you quit."


PASSWORD_VARIABLE = "HVCONSOLE_PASSWORD"
"""Environment variable that may hold the password of servers named on the command line."""


class Credentials:
    """Where passwords come from. Thread-safe.

    ``backend`` replaces the system's keyring (tests); a backend of unknown kind is refused like any other.
    """

    def __init__(self, backend: Callable[[], KeyringBackend] | None = None, limit_s: float = KEYRING_LIMIT_S) -> None:
        self._find_backend = backend or _system_keyring
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._memory: dict[ServerId, Secret] = {}

    # ---- memory --------------------------------------------------------------------------------------------

    def remember(self, server_id: ServerId, secret: Secret) -> None:
        """Keep a password until the program ends. Does not block."""
        with self._lock:
            self._memory[server_id] = secret

    def remembered(self, server_id: ServerId) -> Secret | None:
        """The password kept in memory. Does not block."""
        with self._lock:
            return self._memory.get(server_id)

    # ---- keyring -------------------------------------------------------------------------------------------

    def keyring_name(self) -> str:
        """Name of the safe keyring of this computer. Blocks; raises ``LocalError`` where there is none."""
        return str(self._limited(lambda: self._safe()[1]))

    def load(self, server_id: ServerId) -> Secret | None:
        """The password from memory or else from the keyring; None if neither has one. Blocks; ``LocalError``."""
        known = self.remembered(server_id)
        if known is not None:
            return known
        password = self._limited(lambda: self._safe()[0].get_password(SERVICE, server_id))
        if not isinstance(password, str):
            return None
        secret = Secret(password=password)
        self.remember(server_id, secret)
        return secret

    def save(self, server_id: ServerId, secret: Secret) -> None:
        """Put the password into the keyring and read it back. Blocks; raises ``LocalError`` if it is not safe there.

        In memory it is kept in any case.
        """
        self.remember(server_id, secret)

        def work() -> bool:
            keyring, _name = self._safe()
            keyring.set_password(SERVICE, server_id, secret.password)
            return bool(keyring.get_password(SERVICE, server_id) == secret.password)

        if not self._limited(work):
            raise LocalError("The keyring did not keep the password; it is kept until you quit.")

    def forget(self, server_id: ServerId) -> None:
        """Remove the password from memory and keyring. Blocks; raises ``LocalError`` if the keyring can't be asked."""
        with self._lock:
            self._memory.pop(server_id, None)

        def work() -> None:
            try:
                keyring, _name = self._safe()
            except LocalError:
                return  # nothing was ever put there
            if keyring.get_password(SERVICE, server_id) is not None:
                keyring.delete_password(SERVICE, server_id)

        self._limited(work)

    def _safe(self) -> tuple[KeyringBackend, str]:
        backend = self._find_backend()
        # A chainer asks several keyrings in turn: only safe if the first, which takes the password, is.
        for candidate in getattr(backend, "backends", [backend]):
            name = _SAFE_MODULES.get(type(candidate).__module__)
            if name is not None:
                return candidate, name
            break
        raise LocalError(NO_KEYRING, f"{type(backend).__module__}.{type(backend).__qualname__}")

    def _limited(self, work: Callable[[], Any]) -> Any:
        answer: queue.SimpleQueue[tuple[Any, LocalError | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                answer.put((work(), None))
            except LocalError as exc:
                answer.put((None, exc))
            except Exception as exc:  # noqa: BLE001 - outer edge: keyrings raise what they like, with what they like
                # Only the type: the text could carry what was to be stored.
                answer.put((None, LocalError("The keyring can't be used; it may be locked.", type(exc).__name__)))

        threading.Thread(target=run, name="keyring", daemon=True).start()
        try:
            result, error = answer.get(timeout=self._limit_s)
        except queue.Empty:
            raise LocalError("The keyring did not answer; it may be waiting to be unlocked.") from None
        if error is not None:
            raise error
        return result


def _system_keyring() -> KeyringBackend:
    import keyring

    return keyring.get_keyring()
