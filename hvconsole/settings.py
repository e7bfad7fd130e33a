"""What the user chose, in one readable JSON file: appearance, window, servers, monitored VMs. Never a secret.

``Settings`` is frozen; ``SettingsStore`` swaps it as a whole, so any thread may read and change. Changes are written
by a short-lived thread a moment later (a slow disk never holds up the window); ``flush`` writes at once. Two consoles
of one user may share the file: each writes what it changed itself, on top of what the other wrote.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from hvconsole.clock import Clock, SystemClock
from hvconsole.errors import InvalidInput, LocalError
from hvconsole.file_lock import FileLock
from hvconsole.model import ObjectId, ServerId
from hvconsole.monitor.status import MonitorSettings
from hvconsole.private_files import private_folder, read_private, write_private
from hvconsole.profiles import ServerProfile, is_url, parse_url
from hvconsole.settings_merge import merged
from hvconsole.text import safe_text

log = logging.getLogger(__name__)

VERSION = 1
HOME_VARIABLE = "HVCONSOLE_HOME"
WRITE_DELAY_S = 0.3
"""Changes within this time are written together (dragging a sash makes dozens)."""
LOCK_LIMIT_S = 5.0
"""How long another hvconsole may keep the settings file to itself."""


def config_folder() -> Path:
    """Where settings and accepted certificates live; ``HVCONSOLE_HOME`` puts everything into one folder."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) if home else platformdirs.user_config_path("hvconsole", appauthor=False)


def data_folder() -> Path:
    """Where the history lives."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) if home else platformdirs.user_data_path("hvconsole", appauthor=False)


def cache_folder() -> Path:
    """Where the last inventories live, which may be deleted at any time."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) / "cache" if home else platformdirs.user_cache_path("hvconsole", appauthor=False)


def settings_path() -> Path:
    """The settings file of this user."""
    return config_folder() / "settings.json"


def pins_path() -> Path:
    """The file of accepted certificates (``trust.PinStore``)."""
    return config_folder() / "certificates.json"


def history_path() -> Path:
    """The history file (``history.History``)."""
    return data_folder() / "history.db"


class _Section(BaseModel):
    # Keys of newer versions survive a round trip through this one.
    model_config = ConfigDict(frozen=True, extra="allow")


class Appearance(_Section):
    """How it looks. ``scale`` None = as the screen says."""

    mode: Literal["system", "light", "dark"] = "system"
    scale: float | None = Field(default=None, ge=0.5, le=4.0)


class WindowPlace(_Section):
    """Where the window was. ``sashes`` are pane positions in pixels by name."""

    geometry: str = ""
    maximised: bool = False
    sashes: dict[str, int] = {}


class Filter(_Section):
    """What the tree shows. Empty = everything."""

    text: str = ""
    host: str = ""
    power: tuple[str, ...] = ()


class Table(_Section):
    """The VM table: columns by id in order, widths in pixels, what it is sorted by ("-" before it: descending)."""

    columns: tuple[str, ...] = ()
    widths: dict[str, int] = {}
    sort: str = ""


class SavedServer(_Section):
    """A ``profiles.ServerProfile`` on disk."""

    id: str
    name: str
    platform: str
    addresses: tuple[tuple[str, int], ...] = Field(min_length=1)
    user: str
    options: dict[str, str] = {}
    remember_password: bool = False
    connect_at_start: bool = True
    known_members: tuple[str, ...] = ()

    def profile(self) -> ServerProfile:
        """As the rest of the program knows it."""
        known = {f.name for f in dataclasses.fields(ServerProfile)}
        values = {key: value for key, value in self if key in known}
        return ServerProfile(**{**values, "id": ServerId(self.id)})


class SavedVm(_Section):
    """What is remembered of one VM. ``monitor`` None = the defaults."""

    ticked: bool = False
    monitor: dict[str, JsonValue] | None = None


class Settings(_Section):
    """Everything in the file."""

    version: int = VERSION
    appearance: Appearance = Appearance()
    window: WindowPlace = WindowPlace()
    filter: Filter = Filter()
    table: Table = Table()
    servers: tuple[SavedServer, ...] = ()
    monitor: dict[str, JsonValue] = {}
    vms: dict[str, dict[str, SavedVm]] = {}
    """Server id → VM id → what is remembered."""
    history_days: int = Field(default=365, ge=1, le=36_500)
    prefs: dict[str, JsonValue] = {}
    """Small choices that need no section of their own ("do not ask again")."""


class SettingsStore:
    """The settings of this run; also a ``monitor.servers.MonitorMemory``. Thread-safe.

    Without a path they live in memory only (``--demo``, tests).
    A file that cannot be read is kept aside under another name; ``problem`` then says so in one sentence.
    """

    def __init__(self, path: Path | None = None, clock: Clock | None = None) -> None:
        self.path = path
        self.problem = ""
        self.on_problem: Callable[[LocalError], None] = lambda error: None
        """Called from the writing thread when the file can't be written."""
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._dirty = False
        self._hurry = threading.Event()
        self._writer: threading.Thread | None = None
        self._settings = self._load(path) if path is not None and path.exists() else Settings()
        self._base = self._settings.model_dump(mode="json")
        """Our settings when the file was last read or written here."""

    @property
    def current(self) -> Settings:
        """The settings as they are now."""
        return self._settings

    def change(self, **fields: Any) -> Settings:
        """Replace top-level fields; saved a moment later. Raises ``ValueError`` for a value that doesn't fit."""
        return self._swap(lambda now: fields)

    def _swap(self, make: Callable[[Settings], Mapping[str, Any]]) -> Settings:
        with self._lock:
            values = {**dict(self._settings), **make(self._settings)}
            self._settings = Settings.model_validate(values)
            self._dirty = self.path is not None
            if self._dirty and self._writer is None:
                self._hurry.clear()
                self._writer = threading.Thread(target=self._write_soon, name="settings", daemon=True)
                self._writer.start()
            return self._settings

    # ---- small choices -------------------------------------------------------------------------------------

    def pref(self, key: str, default: Any = None) -> Any:
        """A small choice by name; any JSON value."""
        return self._settings.prefs.get(key, default)

    def set_pref(self, key: str, value: Any) -> None:
        """Remember a small choice; None forgets it."""

        def prefs(now: Settings) -> Mapping[str, Any]:
            rest = {k: v for k, v in now.prefs.items() if k != key}
            return {"prefs": rest if value is None else {**rest, key: value}}

        self._swap(prefs)

    # ---- servers -------------------------------------------------------------------------------------------

    def servers(self) -> tuple[ServerProfile, ...]:
        """Saved servers in the order of saving."""
        return tuple(server.profile() for server in self._settings.servers)

    def find_servers(self, name: str) -> tuple[ServerProfile, ...]:
        """The saved server with that id, else all of that name (upper and lower case alike)."""
        by_id = tuple(profile for profile in self.servers() if name == profile.id)
        return by_id or tuple(p for p in self.servers() if name.casefold() == p.name.casefold())

    def resolve(self, text: str) -> ServerProfile:
        """What a URL or the name of a saved server on the command line means. Raises ``InvalidInput``.

        A URL gets the id of the saved server with the same address, or one made of the URL: ticks and the unfinished
        outages of an earlier run are found by it.
        """
        if not is_url(text):
            found = self.find_servers(text)
            if len(found) > 1:
                urls = ", ".join(safe_text(p.url, 120) for p in found)
                raise InvalidInput(f"Several saved servers are called “{safe_text(text, 80)}”; name one by URL: {urls}")
            if not found:
                names = ", ".join(safe_text(p.name, 60) for p in self.servers()) or "none"
                raise InvalidInput(
                    f"“{safe_text(text, 80)}” is neither a URL (xenserver://, vsphere://, hyperv://) nor the name of a "
                    f"saved server. Saved servers: {names}."
                )
            return found[0]
        profile = parse_url(text)
        for saved in self.servers():
            if saved.platform == profile.platform and set(saved.addresses) & set(profile.addresses):
                return dataclasses.replace(profile, id=saved.id, known_members=saved.known_members)
        digest = hashlib.sha256(repr((profile.platform, profile.addresses)).encode()).hexdigest()
        return dataclasses.replace(profile, id=ServerId(f"url-{digest[:16]}"))

    def save_server(self, profile: ServerProfile) -> None:
        """Add a server, or replace the one with the same id in its place."""

        def servers(now: Settings) -> Mapping[str, Any]:
            before = {server.id: server for server in now.servers}
            extra = before[profile.id].model_extra or {} if profile.id in before else {}
            values = {f.name: getattr(profile, f.name) for f in dataclasses.fields(profile)}
            # an emergency login is for once: saved, it would lock the pool out after its recovery
            options = {key: value for key, value in profile.options.items() if key != "emergency"}
            before[profile.id] = SavedServer.model_validate({**extra, **values, "options": options})
            return {"servers": tuple(before.values())}

        self._swap(servers)

    def remove_server(self, server_id: ServerId) -> None:
        """Forget a server and its monitored VMs."""
        self._swap(
            lambda now: {
                "servers": tuple(s for s in now.servers if s.id != server_id),
                "vms": {key: vms for key, vms in now.vms.items() if key != server_id},
            }
        )

    def learn_members(self, server_id: ServerId, members: tuple[str, ...]) -> None:
        """Remember where a pool's other hosts are, if the server is a saved one."""
        profile = next((p for p in self.servers() if p.id == server_id), None)
        if profile is not None and profile.known_members != members:
            self.save_server(dataclasses.replace(profile, known_members=members))

    # ---- monitoring ----------------------------------------------------------------------------------------

    def monitor_defaults(self) -> MonitorSettings:
        """How VMs are monitored that have no settings of their own."""
        return _monitor_settings(self._settings.monitor)

    def set_monitor_defaults(self, settings: MonitorSettings) -> None:
        """Change them for all VMs without settings of their own."""
        self.change(monitor={**self._settings.monitor, **settings.to_mapping()})

    def monitor_settings(self, server_id: ServerId, vm_id: ObjectId) -> MonitorSettings:
        """How this VM is monitored: its own settings, or the defaults."""
        own = self._settings.vms.get(server_id, {}).get(vm_id, SavedVm()).monitor
        return self.monitor_defaults() if own is None else _monitor_settings(own)

    def has_own_monitor_settings(self, server_id: ServerId, vm_id: ObjectId) -> bool:
        """Whether the defaults don't apply to this VM."""
        return self._settings.vms.get(server_id, {}).get(vm_id, SavedVm()).monitor is not None

    def set_monitor_settings(self, server_id: ServerId, vm_id: ObjectId, settings: MonitorSettings | None) -> None:
        """Give a VM settings of its own; None = the defaults again."""
        values = None if settings is None else settings.to_mapping()
        self._change_vm(server_id, vm_id, monitor=values)

    def ticked(self, server_id: ServerId) -> frozenset[ObjectId]:
        """VMs of a server that are to be monitored."""
        return frozenset(ObjectId(vm) for vm, saved in self._settings.vms.get(server_id, {}).items() if saved.ticked)

    def set_ticked(self, server_id: ServerId, vm_id: ObjectId, ticked: bool) -> None:
        """Remember that a VM is to be monitored, or no longer."""
        self._change_vm(server_id, vm_id, ticked=ticked)

    def _change_vm(self, server_id: ServerId, vm_id: ObjectId, **values: Any) -> None:
        def vms(now: Settings) -> Mapping[str, Any]:
            mine = dict(now.vms.get(server_id, {}))
            mine[vm_id] = mine.get(vm_id, SavedVm()).model_copy(update=values)
            if mine[vm_id] == SavedVm():
                del mine[vm_id]
            rest = {key: value for key, value in now.vms.items() if key != server_id}
            return {"vms": {**rest, server_id: mine} if mine else rest}

        self._swap(vms)

    # ---- the file ------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write changes now, if there are any. Blocks for one small write; raises ``LocalError``."""
        with self._lock:
            writer = self._writer
        self._hurry.set()
        self._write()
        if writer is not None and writer is not threading.current_thread():
            writer.join(WRITE_DELAY_S + 5)

    def alive(self) -> tuple[str, ...]:
        """Names of threads that still run."""
        writer = self._writer
        return (writer.name,) if writer is not None and writer.is_alive() else ()

    def _write_soon(self) -> None:
        while True:
            self._clock.wait(self._hurry, WRITE_DELAY_S)
            failed = False
            try:
                self._write()
            except LocalError as exc:
                failed = True
                log.error("%s (%s)", exc.user_text, exc.detail)
                self.on_problem(exc)
            with self._lock:
                if failed or not self._dirty:
                    # What could not be written is tried again with the next change, and at the end.
                    self._writer = None
                    return

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                dirty, self._dirty = self._dirty, False
                settings = self._settings
            if dirty and self.path is not None:
                try:
                    self._write_file(self.path, settings.model_dump(mode="json"))
                except LocalError:
                    self._dirty = True
                    raise

    def _write_file(self, path: Path, ours: dict[str, Any]) -> None:
        private_folder(path.parent)
        lock = FileLock(path.with_name(path.name + ".lock"), "The settings file")
        try:
            with lock.held(LOCK_LIMIT_S):
                values = self._with_changes_of_others(path, ours)
                write_private(path, json.dumps(values, indent=2, ensure_ascii=True).encode() + b"\n")
        except OSError as exc:
            raise LocalError(f"The file {path} can't be written.", str(exc)) from exc
        finally:
            lock.close()
        self._base = ours

    def _with_changes_of_others(self, path: Path, ours: dict[str, Any]) -> dict[str, Any]:
        """What to write: ours, and what another hvconsole of this user changed in the file meanwhile."""
        if not path.exists():
            return ours
        data = read_private(path)
        try:
            theirs = json.loads(data)
            Settings.model_validate(theirs)
            values = merged(self._base, ours, theirs)
            Settings.model_validate(values)
        except (ValueError, RecursionError) as exc:
            self._keep_aside(path, data, f"can't be read ({exc})", "What this hvconsole knows replaces it.")
            return ours
        return values

    def _load(self, path: Path) -> Settings:
        try:
            data = read_private(path)
        except OSError as exc:
            raise LocalError(f"The settings file {path} can't be read.", str(exc)) from exc
        try:
            values = json.loads(data)
            if not isinstance(values, dict):
                raise ValueError("not a JSON object")
        except (ValueError, RecursionError) as exc:
            self.problem = self._keep_aside(path, data, f"can't be read ({exc})", "Everything is at its default.")
            return Settings()
        try:
            return Settings.model_validate(values)
        except ValidationError as exc:
            bad = {str(error["loc"][0]) for error in exc.errors()}
            names = ", ".join(sorted(bad))
            effect = "What can't be understood is at its default."
            self.problem = self._keep_aside(path, data, f"has bad values in {names}", effect)
            good = {key: value for key, value in values.items() if key not in bad}
            if "servers" in bad:
                good["servers"] = _good_servers(values["servers"])
            if "vms" in bad:
                good["vms"] = _good_vms(values["vms"])
            return Settings.model_validate(good)

    def _keep_aside(self, path: Path, data: bytes, what: str, effect: str) -> str:
        # Named by its content: a command that runs every minute must not pile up copies of the same file.
        kept = path.with_name(f"{path.name}.bad-{hashlib.sha256(data).hexdigest()[:8]}")
        if not kept.exists():
            write_private(kept, data)
        sentence = f"The settings file {path} {what}. {effect} The old file is kept as {kept.name}."
        log.warning("%s", sentence)
        return sentence


def _good_servers(rows: object) -> list[SavedServer]:
    """The servers that can be understood: one bad entry must not cost the others."""
    found = []
    for row in rows if isinstance(rows, list) else []:
        try:
            found.append(SavedServer.model_validate(row))
        except ValidationError as exc:
            log.warning("a saved server can't be understood: %s", exc.error_count())
    return found


def _good_vms(servers: object) -> dict[str, dict[str, SavedVm]]:
    """What is remembered of VMs, as far as it can be understood: one bad entry must not cost the others their ticks."""
    found: dict[str, dict[str, SavedVm]] = {}
    for server_id, vms in servers.items() if isinstance(servers, dict) else ():
        for vm_id, row in vms.items() if isinstance(vms, dict) else ():
            try:
                found.setdefault(server_id, {})[vm_id] = SavedVm.model_validate(row)
            except ValidationError as exc:
                log.warning("what is saved of a VM can't be understood: %s", exc.error_count())
    return found


def _monitor_settings(values: Mapping[str, JsonValue]) -> MonitorSettings:
    """What was saved, field by field: one that doesn't fit (another version wrote it) falls back to its default."""
    try:
        return MonitorSettings.from_mapping(values)
    except InvalidInput:
        good: dict[str, JsonValue] = {}
        for key, value in values.items():
            try:
                MonitorSettings.from_mapping({**good, key: value})
            except InvalidInput as exc:
                log.warning("the saved monitor setting %s doesn't fit: %s", key, exc.user_text)
            else:
                good[key] = value
        return MonitorSettings.from_mapping(good)
