"""Faults and delays as data: rules that make the lab misbehave on purpose.

A rule names what it applies to and what then happens; protocol servers ask ``Faults.decide`` once per request with
their own method name ("VM.start", "PowerOnVM_Task", "Msvm_ComputerSystem.RequestStateChange"), the world asks with
the neutral verb ("snapshot"). Any thread; own lock.
"""

from __future__ import annotations

import enum
import fnmatch
import random
import threading
from dataclasses import dataclass, field


class Effect(enum.StrEnum):
    """What a rule does after its delay."""

    FAULT = "fault"
    """Refuse with ``code`` and ``params``."""
    DELAY = "delay"
    """Nothing but the delay."""
    DROP_BEFORE = "drop before"
    """Close the connection without doing the work."""
    DROP_AFTER = "drop after"
    """Do the work, then close the connection without a reply."""
    GARBAGE = "garbage"
    """Answer ``body`` verbatim instead of the reply."""


@dataclass(slots=True, kw_only=True)
class FaultRule:
    """``method`` and ``object`` are shell patterns; ``object`` is tried against the ids and names concerned.

    The first ``skip`` matches pass untouched, at most ``max_count`` fire (None: all), each with ``probability``.
    ``delay_s`` is waited before the effect.
    """

    method: str
    object: str = "*"
    site: str = "*"
    effect: Effect = Effect.FAULT
    code: str = ""
    params: tuple[str, ...] = ()
    body: bytes = b""
    delay_s: float = 0.0
    probability: float = 1.0
    skip: int = 0
    max_count: int | None = None
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)


class Faults:
    """The rules in force, tried in the order they were added; the first that fires decides."""

    def __init__(self, seed: int = 1) -> None:
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []
        self._random = random.Random(seed)

    def add(self, rule: FaultRule) -> FaultRule:
        """Put a rule in force and return it (its counters tell what happened)."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: FaultRule) -> None:
        """Take a rule out; one that is not in force is ignored."""
        with self._lock:
            self._rules = [r for r in self._rules if r is not rule]

    def clear(self) -> None:
        """Take all rules out."""
        with self._lock:
            self._rules = []

    @property
    def any(self) -> bool:
        """Whether there are rules at all."""
        return bool(self._rules)

    def decide(self, site_id: str, method: str, objects: tuple[str, ...] = ()) -> FaultRule | None:
        """The rule that fires for this request, counted, or None. ``objects`` are ids and names concerned."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                if not self._matches(rule, site_id, method, objects):
                    continue
                rule.seen += 1
                if rule.seen <= rule.skip:
                    continue
                if rule.max_count is not None and rule.fired >= rule.max_count:
                    continue
                if rule.probability < 1.0 and self._random.random() >= rule.probability:
                    continue
                rule.fired += 1
                return rule
        return None

    @staticmethod
    def _matches(rule: FaultRule, site_id: str, method: str, objects: tuple[str, ...]) -> bool:
        if not fnmatch.fnmatchcase(method, rule.method) or not fnmatch.fnmatchcase(site_id, rule.site):
            return False
        return rule.object == "*" or any(fnmatch.fnmatchcase(name, rule.object) for name in objects)
