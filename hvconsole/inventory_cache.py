"""The last known inventory of each server on disk, so that a server that is away is shown greyed instead of empty.

One private JSON file per server. ``save`` and ``load`` read and write files: not for the Tk thread when large.
What is loaded was written by this program but is treated like anything a server sends.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvconsole.errors import LocalError
from hvconsole.model import Inventory, ServerId
from hvconsole.private_files import write_private

if TYPE_CHECKING:
    from pydantic import TypeAdapter

log = logging.getLogger(__name__)

LARGEST_BYTES = 64 * 1024 * 1024
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
            if not path.exists() or path.stat().st_size > LARGEST_BYTES:
                return None
            return _adapter().validate_json(path.read_bytes())
        except (OSError, ValueError) as exc:
            log.info("the remembered inventory %s can't be read: %s", path.name, type(exc).__name__)
            return None

    def forget(self, server_id: ServerId) -> None:
        """Remove what was remembered of a server."""
        self._file(server_id).unlink(missing_ok=True)

    def _file(self, server_id: ServerId) -> Path:
        return self._folder / f"{re.sub('[^A-Za-z0-9_-]', '_', server_id)}.json"
