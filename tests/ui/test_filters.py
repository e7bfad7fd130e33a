"""What a search finds. No screen needed."""

from __future__ import annotations

from dataclasses import replace

from hvconsole.model import PowerState, ServerId, Vm
from hvconsole.ui.filters import Filter, Searcher, listed, matching_vms
from tests.ui.stage import SERVER, oid, sample_inventory, vm

INVENTORY = sample_inventory()


def names(wanted: Filter) -> set[str]:
    return {v.name for v in matching_vms(SERVER, INVENTORY, wanted, Searcher())}


def test_halted_machines_are_never_hidden_by_default() -> None:
    assert "legacy-erp" in names(Filter())


def test_all_words_must_occur_somewhere_and_case_does_not_matter() -> None:
    assert names(Filter("WEB 01")) == {"web-frontend-01"}
    assert names(Filter("prod")) == {"web-frontend-01"}, "tags are searched"
    assert names(Filter("web nothing")) == set()


def test_addresses_macs_uuids_and_descriptions_are_searched() -> None:
    one = vm("v77", "x", description="The ERP of 2009", addresses=("fe80::1", "10.9.8.7"))
    searcher = Searcher()
    for text in ("2009", "10.9.8", "fe80::1", "9A:3F:51:0C", one.uuid[-12:]):
        wanted = Filter(text)
        assert searcher.matches(SERVER, one, wanted, wanted.words), text


def test_short_words_do_not_match_ids_by_chance() -> None:
    one = vm("v77", "x", addresses=())
    wanted = Filter(one.uuid[:2])
    assert not Searcher().matches(SERVER, one, wanted, wanted.words)


def test_power_states_and_hosts_narrow_further() -> None:
    assert names(Filter(powers=frozenset({PowerState.SUSPENDED, PowerState.PAUSED}))) == {
        "build-agent-3",
        "paused-thing",
    }
    on_first = names(Filter(hosts=frozenset({(SERVER, oid("h1"))})))
    assert "web-frontend-01" in on_first
    assert "mail-gw" not in on_first
    assert names(Filter(hosts=frozenset({(ServerId("other"), oid("h1"))}))) == set()


def test_templates_only_on_demand() -> None:
    template = INVENTORY.vms[oid("t1")]
    assert not listed(template, Filter())
    assert listed(template, Filter(templates=True))
    assert "Debian 12 template" in names(Filter(templates=True))


def test_a_changed_machine_is_searched_by_its_new_text() -> None:
    searcher = Searcher()
    before = vm("v1", "old-name")
    after: Vm = replace(before, name="new-name")
    wanted = Filter("new")
    assert not searcher.matches(SERVER, before, wanted, wanted.words)
    assert searcher.matches(SERVER, after, wanted, wanted.words)
