"""The sentences that say why something cannot be done now, as a user reads them."""

from __future__ import annotations

import pytest

from hvconsole import whynot
from hvconsole.model import PowerState, Verb

RUNNING, HALTED, PAUSED = PowerState.RUNNING, PowerState.HALTED, PowerState.PAUSED


def test_the_state_it_is_in_and_those_it_would_need() -> None:
    assert whynot.wrong_state(Verb.SUSPEND, HALTED, [RUNNING]) == (
        "The VM is shut down; suspending needs it to be running."
    )
    assert whynot.wrong_state(Verb.DELETE, RUNNING, {HALTED, PAUSED}) == (
        "The VM is running; deleting needs it to be shut down or paused."
    )
    assert whynot.wrong_state(Verb.START, RUNNING, ()) == "The VM is running; starting needs it to be in another state."


def test_missing_tools_are_called_as_the_platform_calls_them() -> None:
    assert whynot.tools_missing(Verb.SHUTDOWN, "VMware Tools") == (
        "No working VMware Tools in this guest; shutting down needs them."
    )


def test_what_goes_on_is_listed_once_and_hostile_words_are_shown_safely() -> None:
    sentence = whynot.busy(["snapshot", "snapshot", "x\u202ey" + "z" * 100])
    assert sentence.startswith("Another operation is in progress: ")
    assert sentence.count("snapshot") == 1
    assert "\u202e" not in sentence
    assert "z" * 61 not in sentence
    assert whynot.busy([]) == "Another operation is in progress."


@pytest.mark.parametrize("reason", ["", "  ", "true", "True", "1", "yes"])
def test_a_block_without_a_reason_has_none_invented(reason: str) -> None:
    assert whynot.blocked(reason) == "An administrator has blocked this operation on it."


def test_the_reason_of_a_block_is_shown_cut_and_safe() -> None:
    assert whynot.blocked(" maintenance\n") == ("An administrator has blocked this operation on it: maintenance")
    assert "\n" not in whynot.blocked("a\nb")
    assert len(whynot.blocked("x" * 5000)) < 300


def test_every_verb_has_its_gerund() -> None:
    for verb in Verb:
        assert whynot.doing(verb) == whynot.doing(verb).strip() != ""
        assert whynot.not_offered(verb).startswith("The server doesn't allow ")
        assert whynot.kind(verb, "a template").startswith("This is a template; ")
