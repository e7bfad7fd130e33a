"""From what stands on the command line to a logged-in server: profiles, fingerprints, passwords.

Main thread for everything that may ask the user; ``log_in`` may also run in worker threads.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hvconsole.backends import TRACEABLE, open_hypervisor
from hvconsole.backends.base import Hypervisor, Secret, Trust
from hvconsole.backends.wire import Wire
from hvconsole.cli.output import Printer, UsageError, is_terminal
from hvconsole.clock import Clock, SystemClock
from hvconsole.credentials import PASSWORD_VARIABLE, Credentials
from hvconsole.errors import AuthError, EmergencyMode, HostIsSlave, InvalidInput, LocalError
from hvconsole.model import Emergency
from hvconsole.profiles import ServerProfile, is_on
from hvconsole.settings import SettingsStore, pins_path, settings_path
from hvconsole.text import safe_text
from hvconsole.trust import FixedPins, PinStore, parse_fingerprint


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Options that every command with servers has."""
    parser.add_argument(
        "--fingerprint",
        metavar="SHA256",
        action="append",
        default=[],
        help="accept this certificate only (with or without colons); one for all servers, or one per server in order",
    )
    parser.add_argument(
        "--option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="connection option, e.g. auth=kerberos (Hyper-V), emergency=yes (XenServer), "
        "legacy_tls=yes (old XenServer or ESXi)",
    )
    parser.add_argument(
        "--trace",
        metavar="FILE",
        help="append every message to and from Hyper-V hosts to FILE, without passwords, user and host names",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log to stderr what is done")


@dataclass(frozen=True)
class Servers:
    """What a command works with."""

    profiles: tuple[ServerProfile, ...]
    trust: Trust
    settings: SettingsStore
    credentials: Credentials
    clock: Clock

    def secret(self, profile: ServerProfile) -> Secret:
        """The password: from the environment, the keyring (saved servers) or a prompt. Main thread.

        The certificate is checked before a person is asked for a password. Raises ``AuthError`` where nobody can be
        asked, and ``ConnectError`` from the check.
        """
        given = os.environ.get(PASSWORD_VARIABLE)
        if given is not None:
            return Secret(password=given)
        if profile.remember_password:
            known = self._from_keyring(profile)
            if known is not None:
                return known
        _check_certificate(profile, self.trust)
        if not is_terminal(sys.stdin):
            raise AuthError(
                f"The password for {safe_text(profile.name)} isn't known. Without a terminal, set {PASSWORD_VARIABLE}."
            )
        prompt = f"Password of {safe_text(profile.user)} for {safe_text(profile.address_text)}: "
        return Secret(password=getpass.getpass(prompt, stream=sys.stderr))

    def _from_keyring(self, profile: ServerProfile) -> Secret | None:
        try:
            return self.credentials.load(profile.id)
        except LocalError as exc:
            Printer().error(exc.user_text)
            return None

    def log_in(self, profile: ServerProfile, secret: Secret) -> Hypervisor:
        """A logged-in server; the caller closes it. Blocks; raises ``ConnectError``."""
        return open_hypervisor(profile.target(), secret, self.trust, self.clock)


def refuse_emergency(emergency: Emergency | None) -> None:
    """In an emergency login there are no VMs: say what there is. Raises ``EmergencyMode``, ``HostIsSlave``,
    ``InvalidInput``; does nothing in any other login."""
    if emergency is None:
        return
    host, master = safe_text(emergency.host_address, 80), safe_text(emergency.master_address, 80)
    if emergency.in_emergency_mode:
        raise EmergencyMode(
            f"{host} is in emergency mode: its pool's master is away, so its VMs can't be listed or worked with. "
            "What works: “hvconsole run become-master” and “hvconsole run point-to-master”.",
            emergency.cause,
            address=emergency.host_address,
        )
    without = f"{host} isn't in emergency mode: leave --option emergency=yes out"
    if master and master != host:
        raise HostIsSlave(f"{without}, and ask its pool's master.", master_address=emergency.master_address)
    raise InvalidInput(f"{without}.{' It is the master of its pool.' if master else ''}")


def resolve(targets: Sequence[str], options: argparse.Namespace) -> Servers:
    """URLs and names of saved servers → what to connect to. Raises ``UsageError``, ``LocalError``."""
    settings = SettingsStore(settings_path())
    if settings.problem:
        Printer().error(settings.problem)
    try:
        extra = dict(_key_value(text) for text in options.option)
        profiles = tuple(_traced(_with_options(settings.resolve(target), extra), options.trace) for target in targets)
        trust = _trust(profiles, options.fingerprint)
    except InvalidInput as exc:
        raise UsageError(exc.user_text) from exc
    return Servers(profiles, trust, settings, Credentials(), SystemClock())


def _traced(profile: ServerProfile, path: str | None) -> ServerProfile:
    return _with_options(profile, {"trace": path}) if path and profile.platform in TRACEABLE else profile


def _key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"“{safe_text(text, 60)}” isn't KEY=VALUE.")
    return key, value


def _with_options(profile: ServerProfile, extra: dict[str, str]) -> ServerProfile:
    return replace(profile, options={**profile.options, **extra}) if extra else profile


def _trust(profiles: tuple[ServerProfile, ...], fingerprints: Sequence[str]) -> Trust:
    store = PinStore(pins_path())
    if not fingerprints:
        return store
    if len(fingerprints) == 1:
        fingerprints = list(fingerprints) * len(profiles)
    if len(fingerprints) != len(profiles):
        raise UsageError("Give --fingerprint once for all servers, or once per server in the same order.")
    pins: dict[tuple[str, int], str] = {}
    for profile, text in zip(profiles, fingerprints, strict=True):
        sha256 = parse_fingerprint(text)
        for address in profile.addresses:
            if pins.setdefault(address, sha256) != sha256:
                raise UsageError("Two different fingerprints were given for the same server.")
    return FixedPins(pins, store)


def _check_certificate(profile: ServerProfile, trust: Trust) -> None:
    """Meet the server without logging in, so that nobody types a password for one that will be refused."""
    if profile.options.get("scheme") == "http":
        return
    host, port = profile.addresses[0]
    wire = Wire(trust, legacy_tls=is_on(profile.options, "legacy_tls"))
    try:
        with wire.call():
            wire.connect(host, port).close()
    finally:
        wire.close()
