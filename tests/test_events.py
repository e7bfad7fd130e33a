"""The hub: everybody who asked hears it, and nobody is hurt by the others."""

import datetime as dt

import pytest

from hvconsole.events import ConnectionState, Happened, Hub, InventoryChanged, JobState, Notice
from hvconsole.model import ServerId


def test_subscribers_of_exactly_that_type_hear_it_in_order():
    hub, heard = Hub(), []
    hub.subscribe(InventoryChanged, lambda e: heard.append(("first", e)))
    hub.subscribe(InventoryChanged, lambda e: heard.append(("second", e)))
    hub.subscribe(Notice, lambda e: heard.append(("notice", e)))
    event = InventoryChanged(ServerId("s1"))
    hub.emit(event)
    assert heard == [("first", event), ("second", event)]
    hub.emit(ConnectionState.CLOSED)
    assert len(heard) == 2


def test_unsubscribing_ends_only_that_one():
    hub, heard = Hub(), []
    end = hub.subscribe(Notice, lambda e: heard.append("a"))
    hub.subscribe(Notice, lambda e: heard.append("b"))
    end()
    end()
    hub.emit(Notice("k", "text"))
    assert heard == ["b"]


def test_a_subscriber_that_fails_is_logged_and_the_others_hear_it(caplog):
    hub, heard = Hub(), []
    hub.subscribe(Notice, lambda e: 1 / 0)
    hub.subscribe(Notice, heard.append)
    hub.emit(Notice("k", "text"))
    assert len(heard) == 1
    assert "a listener to Notice failed" in caplog.text


def test_a_subscriber_may_subscribe_and_unsubscribe_while_being_told():
    hub, heard = Hub(), []

    def once(event):
        end()
        hub.subscribe(Notice, lambda e: heard.append("new"))
        heard.append("once")

    end = hub.subscribe(Notice, once)
    hub.emit(Notice("k", ""))
    hub.emit(Notice("k", ""))
    assert heard == ["once", "new"]


@pytest.mark.parametrize("state", JobState)
def test_four_states_of_a_job_are_final(state):
    assert state.final == (state.value in {"done", "failed", "cancelled", "unknown"})


def test_what_happened_has_sensible_blanks():
    event = Happened(dt.datetime.now(dt.UTC), "me", "start", "pool", "web")
    assert (event.outcome, event.duration_s, event.extra) == ("", None, {})
