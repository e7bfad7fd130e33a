"""The last known inventory of each server on disk, so that a server that is away is shown greyed instead of empty.

One private JSON file per server. ``save`` and ``load`` read and write files: not for the Tk thread when large.
What is loaded was written by this program but is treated like anything a server sends.
"""

from __future__ import annotations

import logging
import re
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvconsole.clock import Clock
from hvconsole.connection import Connections
from hvconsole.errors import LocalError
from hvconsole.events import ConnectionChanged, Hub, InventoryChanged
from hvconsole.model import Inventory, ServerId
from hvconsole.private_files import read_private, write_private

if TYPE_CHECKING:
    from pydantic import TypeAdapter

log = logging.getLogger(__name__)

FIRST_SAVE_S = 10.0
SAVE_EVERY_S = 300.0
_NOT_KEPT: Any = {kind: {"__all__": {"refusals"}} for kind in ("pools", "hosts", "vms")}
# what was refused then says nothing about a server that is away


@cache
def _adapter() -> TypeAdapter[Inventory]:
    from pydantic import TypeAdapter

    return TypeAdapter(Inventory)


class InventoryCache:
    """Inventories in ``folder``; thread-safe because each file is replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, server_id: ServerId, inventory: Inventory) -> None:
        """Remember ``inventory``. Raises ``LocalError``."""
        try:
            data = _adapter().dump_json(inventory, exclude=_NOT_KEPT)
        except ValueError as exc:
            raise LocalError("The inventory can't be remembered: a name in it has no written form.") from exc
        write_private(self._file(server_id), data)

    def load(self, server_id: ServerId) -> Inventory | None:
        """What was remembered, or None; an unreadable file is worth nothing and is only logged."""
        path = self._file(server_id)
        try:
            return _adapter().validate_json(read_private(path)) if path.exists() else None
        except (OSError, ValueError) as exc:
            log.info("the remembered inventory %s can't be read: %s", path.name, type(exc).__name__)
            return None

    def forget(self, server_id: ServerId) -> None:
        """Remove what was remembered of a server. Raises ``LocalError``."""
        path = self._file(server_id)
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise LocalError(f"The remembered inventory {path} can't be removed.", str(exc)) from exc

    def _file(self, server_id: ServerId) -> Path:
        return self._folder / f"{re.sub('[^A-Za-z0-9_-]', '_', server_id)}.json"


class CacheKeeper:
    """Saves changed inventories every few minutes and at the end, and removes those of servers that were removed: on a
    thread of its own named ``cache``."""

    def __init__(self, cache: InventoryCache, connections: Connections, hub: Hub, clock: Clock) -> None:
        self._cache = cache
        self._connections = connections
        self._clock = clock
        self._changed: set[ServerId] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cache", daemon=True)
        hub.subscribe(InventoryChanged, self._note)
        hub.subscribe(ConnectionChanged, self._note_removal)

    def start(self) -> None:
        """Begin; does not block."""
        self._thread.start()

    def stop(self) -> None:
        """Save what changed and end; does not block."""
        self._stop.set()

    def alive(self) -> tuple[str, ...]:
        """The thread's name while it runs."""
        return (self._thread.name,) if self._thread.is_alive() else ()

    def _note(self, event: InventoryChanged) -> None:
        with self._lock:
            self._changed.add(event.server_id)

    def _note_removal(self, event: ConnectionChanged) -> None:
        if self._connections.get(event.server_id) is None:
            with self._lock:
                self._changed.add(event.server_id)

    def _run(self) -> None:
        pause_s = FIRST_SAVE_S
        while True:
            stopping = self._clock.wait(self._stop, pause_s)
            pause_s = SAVE_EVERY_S
            with self._lock:
                changed, self._changed = self._changed, set()
            for server_id in changed:
                try:
                    self._bring_up_to_date(server_id)
                except LocalError as exc:
                    log.warning("%s (%s)", exc.user_text, exc.detail)
            if stopping:
                return

    def _bring_up_to_date(self, server_id: ServerId) -> None:
        connection = self._connections.get(server_id)
        if connection is None:
            self._cache.forget(server_id)
        elif connection.inventory is not None:
            self._cache.save(server_id, connection.inventory)
