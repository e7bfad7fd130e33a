"""Asking workers for things a page wants to show, without blocking Tk and without drawing stale answers.

``Asker`` belongs to the Tk thread. The worker holds only a weak reference to it: a widget or picture must never be
finalised in another thread.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from hvconsole.errors import HvError, LocalError

if TYPE_CHECKING:
    from hvconsole.backends.base import Hypervisor
    from hvconsole.connection import Connection
    from hvconsole.ui.dispatcher import Dispatcher

log = logging.getLogger(__name__)

T = TypeVar("T")


class Asker:
    """Questions by topic: a newer question, or ``drop``, makes the answer to an older one of its topic void."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._asked: dict[str, int] = {}
        self._receivers: dict[str, Callable[[object], None]] = {}
        self._count = 0

    def waiting(self, topic: str) -> bool:
        """Whether an answer is still awaited."""
        return topic in self._receivers

    def drop(self, topic: str | None = None) -> None:
        """Ignore the answers to come: for one topic, or for all."""
        if topic is None:
            self._asked.clear()
            self._receivers.clear()
        else:
            self._asked.pop(topic, None)
            self._receivers.pop(topic, None)

    def ask(
        self,
        topic: str,
        connection: Connection,
        work: Callable[[Hypervisor], T],
        done: Callable[[T | HvError], None],
    ) -> None:
        """Ask a server; ``work`` runs on one of its threads, ``done`` in the Tk thread unless it became void."""
        connection.ask(work, self.expect(topic, done))

    def run(self, topic: str, work: Callable[[], T], done: Callable[[T | HvError], None]) -> None:
        """Run ``work`` that needs no server (disk, keyring, doctor) on a thread that ends with it."""
        answer = self.expect(topic, done)

        def body() -> None:
            try:
                result: T | HvError = work()
            except HvError as exc:
                result = exc
            except Exception as exc:  # outer edge of the thread: the page must hear that nothing will come
                log.exception("work for “%s” failed unexpectedly", topic)
                result = LocalError("hvconsole itself failed here; please report it.", type(exc).__name__)
            answer(result)

        threading.Thread(target=body, name=f"ui-{topic}", daemon=True).start()

    def teller(self, topic: str, heard: Callable[[T], None]) -> Callable[[T], None]:
        """A function that tells of steps on the way, for the work of ``run`` to call: ``heard`` gets them in the Tk
        thread, until the topic is dropped or another teller is made for it. It may be called from any thread."""
        self._count += 1
        number = self._count
        self._asked[f"{topic}/steps"] = number
        self._receivers[f"{topic}/steps"] = heard  # type: ignore[assignment]
        return _carrier(weakref.ref(self), self._dispatcher, f"{topic}/steps", number, keep=True)

    def expect(self, topic: str, done: Callable[[T | HvError], None]) -> Callable[[T | HvError], None]:
        """A function that takes the answer to a question asked elsewhere, in any thread; ``done`` gets it in the Tk
        thread unless it became void."""
        self._count += 1
        self._asked[topic] = self._count
        self._receivers[topic] = done  # type: ignore[assignment]
        return _carrier(weakref.ref(self), self._dispatcher, topic, self._count, keep=False)

    def _deliver(self, topic: str, number: int, answer: object, keep: bool) -> None:
        if self._asked.get(topic) != number:
            return
        receiver = self._receivers[topic]
        if not keep:
            self.drop(topic)
        receiver(answer)


def _carrier(
    asker: weakref.ref[Asker], dispatcher: Dispatcher, topic: str, number: int, *, keep: bool
) -> Callable[[object], None]:
    def carry(answer: object) -> None:
        def deliver() -> None:
            there = asker()
            if there is not None:
                there._deliver(topic, number, answer, keep)

        dispatcher.post(deliver)

    return carry
