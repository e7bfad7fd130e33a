"""xapi's HTTP handlers: /export, /import, /rrd_updates, /vncsnapshot, /console. Run in the connection's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hvconsole.lab.xapi.server import _Conversation


def get(conversation: _Conversation) -> None:
    """Dispatch a GET."""
    conversation.error(404)


def put(conversation: _Conversation) -> None:
    """Dispatch a PUT."""
    conversation.error(404)


def console(conversation: _Conversation) -> None:
    """Dispatch a CONNECT."""
    conversation.error(404)
