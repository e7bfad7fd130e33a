"""Passwords: kept only where they are safe, and a stubborn keyring never holds anything up."""

import logging
import threading

import pytest
from keyring.backends.fail import Keyring as FailKeyring
from keyring.backends.null import Keyring as NullKeyring
from keyring.backends.SecretService import Keyring as SecretService

from hvconsole.backends.base import Secret
from hvconsole.credentials import Credentials
from hvconsole.errors import LocalError
from hvconsole.model import ServerId

SERVER = ServerId("s1")
CANARY = "cAnArY-äß<&>"


class Box(SecretService):
    """A desktop keyring that works."""

    priority = 5

    def __init__(self):
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]


# The safe keyrings are recognised by their module.
Box.__module__ = SecretService.__module__


class Forgetful(Box):
    """Takes passwords and drops them."""

    def set_password(self, service, username, password):
        pass


class Raising(Box):
    """Fails and quotes the password in its error."""

    def set_password(self, service, username, password):
        raise RuntimeError(f"cannot store {password}")


Forgetful.__module__ = Raising.__module__ = SecretService.__module__


def test_a_saved_password_is_there_after_a_restart():
    box = Box()
    Credentials(lambda: box).save(SERVER, Secret(password=CANARY))
    later = Credentials(lambda: box)
    assert later.remembered(SERVER) is None
    loaded = later.load(SERVER)
    assert loaded is not None
    assert loaded.password == CANARY
    assert later.keyring_name() == "Secret Service"
    later.forget(SERVER)
    assert box.kept == {}
    assert later.load(SERVER) is None
    later.forget(SERVER)


def test_without_a_tick_the_password_stays_in_memory():
    box = Box()
    credentials = Credentials(lambda: box)
    credentials.remember(SERVER, Secret(password=CANARY))
    found = credentials.load(SERVER)
    assert found is not None
    assert found.password == CANARY
    assert box.kept == {}


@pytest.mark.parametrize("backend", [FailKeyring, NullKeyring])
def test_an_unsafe_keyring_is_refused_with_a_sentence(backend):
    credentials = Credentials(backend)
    with pytest.raises(LocalError, match="no keyring"):
        credentials.keyring_name()
    with pytest.raises(LocalError, match="until you quit"):
        credentials.save(SERVER, Secret(password=CANARY))
    remembered = credentials.remembered(SERVER)
    assert remembered is not None
    credentials.forget(SERVER)
    assert credentials.remembered(SERVER) is None
    with pytest.raises(LocalError):
        credentials.load(SERVER)


def test_an_unknown_add_on_is_refused_like_a_plaintext_file():
    class PlaintextKeyring(Box):
        pass

    PlaintextKeyring.__module__ = "keyrings.alt.file"
    with pytest.raises(LocalError, match="no keyring"):
        Credentials(PlaintextKeyring).keyring_name()


def test_of_a_chain_the_first_keyring_counts():
    class Chain:
        def __init__(self, *backends):
            self.backends = list(backends)

    assert Credentials(lambda: Chain(Box(), FailKeyring())).keyring_name() == "Secret Service"
    for chain in (Chain(NullKeyring(), Box()), Chain()):
        with pytest.raises(LocalError):
            Credentials(lambda chain=chain: chain).keyring_name()


def test_a_keyring_that_drops_passwords_is_found_out():
    box = Forgetful()
    with pytest.raises(LocalError, match="did not keep"):
        Credentials(lambda: box).save(SERVER, Secret(password=CANARY))


def test_no_error_or_log_line_carries_the_password(caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(LocalError) as caught:
        Credentials(Raising).save(SERVER, Secret(password=CANARY))
    assert CANARY not in f"{caught.value.user_text} {caught.value.detail} {caught.value!r} {caplog.text}"
    assert CANARY not in repr(Secret(password=CANARY))


def test_a_locked_keyring_gives_up_in_time():
    unlocked = threading.Event()

    class Locked(Box):
        def get_password(self, service, username):
            unlocked.wait(30)

    Locked.__module__ = SecretService.__module__
    with pytest.raises(LocalError, match="unlocked"):
        Credentials(Locked, limit_s=0.1).load(SERVER)
    unlocked.set()
    for thread in threading.enumerate():
        if thread.name == "keyring":
            thread.join(10)


def test_the_system_keyring_is_asked_by_default(monkeypatch):
    monkeypatch.setattr("keyring.get_keyring", FailKeyring)
    with pytest.raises(LocalError, match="no keyring"):
        Credentials().keyring_name()
