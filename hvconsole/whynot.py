"""Sentences that say why something cannot be done now, the same on every platform.

Pure; any thread. Backends combine these with their server's own facts into ``Vm.refusals``; the wording lives here so
that menu, tooltip, command line and monitor read alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from hvconsole.model import PowerState, Verb
from hvconsole.text import safe_text

STATE_WORDS = {
    PowerState.RUNNING: "running",
    PowerState.HALTED: "shut down",
    PowerState.SUSPENDED: "suspended",
    PowerState.PAUSED: "paused",
    PowerState.UNKNOWN: "in an unknown state",
}
"""How a power state reads in a sentence."""

NO_TEMPLATE = "It is no template."

_DOING = {
    Verb.START: "starting",
    Verb.START_ON: "starting on a chosen host",
    Verb.SHUTDOWN: "shutting down",
    Verb.POWER_OFF: "powering off",
    Verb.REBOOT: "rebooting",
    Verb.RESET: "resetting",
    Verb.SUSPEND: "suspending",
    Verb.STANDBY: "guest standby",
    Verb.RESUME: "resuming",
    Verb.PAUSE: "pausing",
    Verb.UNPAUSE: "unpausing",
    Verb.SNAPSHOT: "taking a snapshot",
    Verb.SNAPSHOT_MEMORY: "a snapshot with memory",
    Verb.SNAPSHOT_QUIESCE: "a quiesced snapshot",
    Verb.REVERT: "reverting",
    Verb.DELETE_SNAPSHOT: "deleting a snapshot",
    Verb.CREATE: "creating",
    Verb.CLONE: "cloning",
    Verb.COPY: "copying",
    Verb.RENAME: "renaming",
    Verb.DELETE: "deleting",
    Verb.UNREGISTER: "removing it from the inventory",
    Verb.MIGRATE: "migrating",
    Verb.TO_TEMPLATE: "turning it into a template",
    Verb.TO_VM: "turning it into a VM",
    Verb.EXPORT: "exporting",
    Verb.IMPORT: "importing",
    Verb.ENTER_MAINTENANCE: "entering maintenance",
    Verb.LEAVE_MAINTENANCE: "leaving maintenance",
    Verb.HOST_REBOOT: "restarting the host",
    Verb.HOST_SHUTDOWN: "switching the host off",
    Verb.CHANGE_PASSWORD: "changing the password",
    Verb.BECOME_MASTER: "becoming master",
    Verb.POINT_TO_MASTER: "pointing to a master",
}


def doing(verb: Verb) -> str:
    """The verb as a gerund in lower case: "suspending"."""
    return _DOING[verb]


def wrong_state(verb: Verb, power: PowerState, legal: Iterable[PowerState]) -> str:
    """ "The VM is shut down; suspending needs it to be running." ``legal`` are the states in which the verb works."""
    words = [STATE_WORDS[state] for state in PowerState if state in frozenset(legal)]
    return f"The VM is {STATE_WORDS[power]}; {doing(verb)} needs it to be {' or '.join(words) or 'in another state'}."


def tools_missing(verb: Verb, tools: str = "guest tools") -> str:
    """The guest cannot be asked to co-operate. ``tools``: the platform's name ("XenServer VM Tools")."""
    return f"No working {tools} in this guest; {doing(verb)} needs them."


def busy(operations: Iterable[str]) -> str:
    """Something else is going on with the object; ``operations`` in the server's words."""
    listed = ", ".join(sorted({safe_text(name, 60) for name in operations}))
    return f"Another operation is in progress: {listed}." if listed else "Another operation is in progress."


def blocked(reason: str) -> str:
    """An administrator blocked the operation on this object; ``reason`` as the server gives it (hostile)."""
    shown = safe_text(reason.strip(), 160)
    if not shown or shown.lower() in {"true", "1", "yes"}:
        return "An administrator has blocked this operation on it."
    return f"An administrator has blocked this operation on it: {shown}"


def not_offered(verb: Verb) -> str:
    """The server does not list the verb as possible now and gives no reason."""
    return f"The server doesn't allow {doing(verb)} now."


def kind(verb: Verb, what: str) -> str:
    """The object is of a kind that does not know the verb: ``what`` = "a template", "a control domain"."""
    return f"This is {what}; {doing(verb)} isn't possible with it."
