"""Selects a server by itself: the first that shows itself after the start, and one just added. Tk thread only."""

from __future__ import annotations

from collections.abc import Callable

from hvconsole.connection import Connections
from hvconsole.events import ConnectionState
from hvconsole.ui.interfaces import Item, ItemKind, Selection

_AWAY = (ConnectionState.RECONNECTING, ConnectionState.FAILED)
_COMING = (ConnectionState.CONNECTING, ConnectionState.CONNECTED, ConnectionState.EMERGENCY)


class Greeting:
    """``selected()`` says what is selected now; ``select(selection)`` selects something else."""

    def __init__(
        self,
        connections: Connections,
        selected: Callable[[], Selection],
        select: Callable[[Selection], None],
    ) -> None:
        self._connections = connections
        self._selected = selected
        self._select = select
        self.done = False
        self._met = {connection.id for connection in connections.all()}
        """Servers that are or were in the tree: a new one is selected when it comes."""

    def greet(self) -> None:
        """Once, when a server shows itself or none can: select the uppermost that is or may come, if the user selected
        nothing."""
        if self.done:
            return
        servers = self._connections.all()
        none_comes = bool(servers) and all(c.state in _AWAY for c in servers)
        if none_comes or any(c.inventory is not None or c.emergency is not None for c in servers):
            self.done = True
            first = next((c for c in servers if c.state in _COMING), servers[0])
            if not self._selected().items:
                self._select(Selection((Item(ItemKind.SERVER, first.id),)))

    def select_new(self) -> None:
        """Select a server that was just added; of several at once, as at the start, none."""
        new = [c.id for c in self._connections.all() if c.id not in self._met]
        self._met.update(new)
        if len(new) == 1 and len(self._met) > 1:
            self._select(Selection((Item(ItemKind.SERVER, new[0]),)))
