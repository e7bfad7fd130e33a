"""What a handler of HTTP requests gets, and how it refuses. Used in the connection's thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hvconsole.lab.xapi.pool import Member, Pool

if TYPE_CHECKING:
    from hvconsole.lab.xapi.server import Conversation


class HttpRefusal(Exception):
    """Answer with ``status`` and close the connection."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Request:
    """A request to ``member`` with its query ``parameters``."""

    conversation: Conversation
    pool: Pool
    member: Member
    parameters: dict[str, str] = field(repr=False)
