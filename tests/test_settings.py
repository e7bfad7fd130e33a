"""Settings: what the user chose comes back, whatever happened to the file in between."""

import json
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole.errors import InvalidInput, LocalError
from hvconsole.model import ObjectId, ServerId
from hvconsole.monitor.status import DEFAULT, Hold, MonitorSettings
from hvconsole.profiles import new_profile
from hvconsole.settings import Appearance, Filter, SettingsStore, cache_folder, config_folder, data_folder

SERVER, WEB = ServerId("s1"), ObjectId("vm-1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config" / "settings.json"


def reopened(store: SettingsStore) -> SettingsStore:
    store.flush()
    assert not store.alive()
    return SettingsStore(store.path)


def test_choices_survive_a_restart(path):
    store = SettingsStore(path)
    store.change(appearance=Appearance(mode="dark", scale=1.5), filter=Filter(text="web", power=("running",)))
    store.set_pref("ask.shutdown", False)
    again = reopened(store)
    assert again.current.appearance.mode == "dark"
    assert again.current.appearance.scale == 1.5
    assert again.current.filter.power == ("running",)
    assert again.pref("ask.shutdown") is False
    again.set_pref("ask.shutdown", None)
    assert reopened(again).pref("ask.shutdown", "asks") == "asks"


def test_a_url_of_a_saved_server_is_that_server_to_ticks_and_journal():
    store = SettingsStore()
    saved = new_profile("xenserver", "10.0.0.1; 10.0.0.2", name="Production")
    store.save_server(saved)
    assert store.resolve("production") == saved
    found = store.resolve("xenserver://anna@10.0.0.2")
    assert (found.id, found.user) == (saved.id, "anna")
    assert store.resolve("vsphere://root@10.0.0.2").id != saved.id
    one, two = store.resolve("xenserver://a@other"), store.resolve("xenserver://b@other")
    assert one.id == two.id
    assert one.id != store.resolve("xenserver://a@another").id
    with pytest.raises(InvalidInput, match="Saved servers: Production"):
        store.resolve("nowhere")


def test_a_name_of_two_saved_servers_is_refused_and_both_can_be_told_by_their_address():
    store = SettingsStore()
    one, two = new_profile("xenserver", "10.0.0.1", name="Pool"), new_profile("xenserver", "10.0.0.2", name="pool")
    store.save_server(one)
    store.save_server(two)
    with pytest.raises(InvalidInput, match=r"xenserver://root@10\.0\.0\.1.*xenserver://root@10\.0\.0\.2"):
        store.resolve("Pool")
    assert store.resolve(one.id) == one
    assert store.resolve(two.url).id == two.id
    store.save_server(replace(one, known_members=("10.0.0.1", "10.0.0.9")))
    assert store.resolve(one.url).known_members == ("10.0.0.1", "10.0.0.9")


def test_an_emergency_login_is_never_saved():
    store = SettingsStore()
    saved = new_profile("xenserver", "10.0.0.1", options={"emergency": "yes", "legacy_tls": "yes"})
    store.save_server(saved)
    assert store.servers()[0].options == {"legacy_tls": "yes"}


def test_changes_are_written_a_moment_later_without_anybody_waiting(path):
    store = SettingsStore(path)
    store.change(history_days=30)
    writer = store._writer
    if writer is not None:
        writer.join(10)
    assert json.loads(path.read_text())["history_days"] == 30


def test_saved_servers_come_back_whole_and_in_order(path):
    pool = new_profile("xenserver", "10.0.0.1; [fe80::1]:8443", "root", "Production", {"legacy_tls": "1"})
    hyperv = new_profile("hyperv", "hv1", options={"scheme": "http"})
    store = SettingsStore(path)
    store.save_server(pool)
    store.save_server(hyperv)
    store.learn_members(pool.id, ("10.0.0.1", "10.0.0.2"))
    store.learn_members(ServerId("unknown"), ("10.9.9.9",))
    again = reopened(store)
    assert again.servers() == (replace(pool, known_members=("10.0.0.1", "10.0.0.2")), hyperv)
    assert again.find_servers("production") == again.servers()[:1]
    assert again.find_servers(hyperv.id) == (hyperv,)
    assert again.find_servers("nobody") == ()
    again.remove_server(pool.id)
    assert reopened(again).servers() == (hyperv,)


def test_ticked_vms_and_their_settings_are_kept_per_server(path):
    store = SettingsStore(path)
    own = MonitorSettings(interval_s=10, lost_rounds=3, holds=frozenset({Hold.STORM}))
    store.set_ticked(SERVER, WEB, True)
    store.set_monitor_settings(SERVER, WEB, own)
    store.set_monitor_defaults(replace(DEFAULT, keep=7))
    again = reopened(store)
    assert again.ticked(SERVER) == {WEB}
    assert again.ticked(ServerId("other")) == frozenset()
    assert again.monitor_settings(SERVER, WEB) == own
    assert again.has_own_monitor_settings(SERVER, WEB)
    assert again.monitor_settings(SERVER, ObjectId("vm-2")).keep == 7
    again.set_monitor_settings(SERVER, WEB, None)
    again.set_ticked(SERVER, WEB, False)
    assert again.current.vms == {}


def test_removing_a_server_forgets_its_ticks(path):
    store = SettingsStore(path)
    profile = new_profile("xenserver", "pool")
    store.save_server(profile)
    store.set_ticked(profile.id, WEB, True)
    store.remove_server(profile.id)
    assert reopened(store).current.vms == {}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_belongs_to_the_user_alone(path, umask):
    before = os.umask(umask)
    try:
        store = SettingsStore(path)
        store.change(history_days=2)
        store.flush()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert files == {path.name: 0o600, f"{path.name}.lock": 0o600}


def test_keys_of_a_newer_version_are_kept(path):
    path.parent.mkdir()
    path.write_text(
        json.dumps(
            {
                "version": 9,
                "hologram": {"depth": 3},
                "appearance": {"mode": "light", "glow": True},
                "servers": [
                    {"id": "s1", "name": "a", "platform": "xenserver", "addresses": [["h", 443]], "user": "u", "x": 1}
                ],
            }
        )
    )
    store = SettingsStore(path)
    assert not store.problem
    store.save_server(replace(store.servers()[0], name="b"))
    store.flush()
    saved = json.loads(path.read_text())
    assert saved["version"] == 9
    assert saved["hologram"] == {"depth": 3}
    assert saved["appearance"]["glow"] is True
    assert saved["servers"][0]["x"] == 1
    assert saved["servers"][0]["name"] == "b"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_an_unreadable_file_is_kept_aside_and_said(path, data):
    path.parent.mkdir()
    path.write_bytes(data)
    store = SettingsStore(path)
    assert "default" in store.problem
    (kept,) = path.parent.glob("settings.json.bad-*")
    assert kept.name in store.problem
    assert kept.read_bytes() == data
    SettingsStore(path)
    assert len(list(path.parent.iterdir())) == 2
    assert store.current.appearance.mode == "system"


def test_one_bad_value_costs_only_itself(path):
    path.parent.mkdir()
    good = {"id": "s1", "name": "a", "platform": "xenserver", "addresses": [["h", 443]], "user": "u"}
    values = {"appearance": {"mode": "sepia"}, "history_days": 12, "servers": [good, {"id": 5}]}
    path.write_text(json.dumps(values))
    store = SettingsStore(path)
    assert "appearance" in store.problem
    assert store.current.history_days == 12
    assert store.current.appearance == Appearance()
    assert [s.name for s in store.servers()] == ["a"]
    assert len(list(path.parent.glob("*.bad-*"))) == 1


def test_one_bad_tick_does_not_cost_the_others(path):
    path.parent.mkdir()
    good = {"ticked": True, "monitor": None}
    vms = {"s1": {"v1": good, "v2": {"ticked": "perhaps"}, "v3": good}, "s2": {"v1": good}, "s3": 7}
    path.write_text(json.dumps({"vms": vms}))
    store = SettingsStore(path)
    assert "vms" in store.problem
    assert store.ticked("s1") == {"v1", "v3"}
    assert store.ticked("s2") == {"v1"}
    assert store.ticked("s3") == frozenset()


def test_monitor_settings_that_do_not_fit_fall_back_one_by_one(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"monitor": {"interval_s": "soon", "keep": 9, "quantum": True, "lost_rounds": 0}}))
    assert SettingsStore(path).monitor_defaults() == replace(DEFAULT, keep=9)


def test_a_wrong_value_is_refused_before_it_is_saved(path):
    store = SettingsStore(path)
    with pytest.raises(ValueError, match="mode"):
        store.change(appearance={"mode": "sepia"})
    assert store.current.appearance == Appearance()


def test_an_unwritable_place_is_told_and_loses_nothing_in_memory(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    store = SettingsStore(tmp_path / "file" / "settings.json")
    told = threading.Event()
    store.on_problem = lambda error: told.set()
    store.change(history_days=3)
    assert told.wait(10)
    assert store.current.history_days == 3
    store.change(history_days=4)
    with pytest.raises(LocalError):
        store.flush()


def test_a_tick_made_while_the_disk_was_full_is_written_when_there_is_room(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    store = SettingsStore(blocked / "settings.json")
    told = threading.Event()
    store.on_problem = lambda error: told.set()
    store.set_ticked(SERVER, WEB, True)
    assert told.wait(10)
    for thread in threading.enumerate():
        if thread.name == "settings":
            thread.join(10)
    blocked.unlink()
    store.flush()
    assert SettingsStore(blocked / "settings.json").ticked(SERVER) == {WEB}


def test_an_unreadable_place_is_an_error_and_not_an_empty_start(tmp_path):
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(LocalError):
        SettingsStore(tmp_path / "settings.json")


def test_without_a_path_nothing_is_written():
    store = SettingsStore()
    store.change(history_days=3)
    store.flush()
    assert not store.alive()
    assert store.current.history_days == 3


def test_one_variable_moves_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path / "portable"))
    assert config_folder() == data_folder() == cache_folder().parent == tmp_path / "portable"
    monkeypatch.delenv("HVCONSOLE_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    assert isinstance(config_folder(), Path)
    assert config_folder().name == data_folder().name == cache_folder().name == "hvconsole"


@given(
    key=st.text(min_size=1),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
    ).filter(lambda v: v is not None),
)
def test_any_text_and_value_survives_the_round_trip(tmp_path_factory, key, value):
    store = SettingsStore(tmp_path_factory.mktemp("s") / "settings.json")
    store.set_pref(key, value)
    store.flush()
    assert SettingsStore(store.path).pref(key) == value


def test_many_threads_changing_at_once_lose_nothing(path):
    store = SettingsStore(path)
    threads = [
        threading.Thread(target=lambda n=n: [store.set_pref(f"{n}-{i}", i) for i in range(20)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(reopened(store).current.prefs) == 80


# ---- two consoles -----------------------------------------------------------------------------------------------


def profile(name: str, host: str):
    return new_profile("xenserver", host, "root", name)


def test_two_consoles_keep_what_each_of_them_changed(path):
    first = SettingsStore(path)
    first.set_ticked(SERVER, ObjectId("old"), True)
    first.save_server(profile("Basel", "10.0.0.1"))
    first.flush()
    second = SettingsStore(path)
    second.set_ticked(SERVER, WEB, True)
    second.save_server(profile("Bern", "10.0.0.2"))
    second.set_pref("b", 1)
    second.flush()
    first.set_ticked(SERVER, ObjectId("old"), False)
    first.change(appearance=Appearance(mode="dark"))
    first.flush()
    second.set_pref("b", 2)
    both = reopened(second)
    assert both.ticked(SERVER) == {WEB}
    assert [server.name for server in both.servers()] == ["Basel", "Bern"]
    assert both.current.appearance.mode == "dark"
    assert both.pref("b") == 2


def test_a_server_removed_in_one_console_does_not_come_back_from_the_other(path):
    first = SettingsStore(path)
    gone, kept = profile("Basel", "10.0.0.1"), profile("Bern", "10.0.0.2")
    first.save_server(gone)
    first.save_server(kept)
    first.flush()
    second = SettingsStore(path)
    second.remove_server(gone.id)
    second.flush()
    first.set_pref("x", True)
    assert [server.name for server in reopened(first).servers()] == ["Bern"]


def test_a_file_spoilt_while_running_is_replaced_and_kept_aside(path):
    store = SettingsStore(path)
    store.set_pref("a", 1)
    store.flush()
    path.write_text("{spoilt")
    store.set_pref("b", 2)
    again = reopened(store)
    assert (again.pref("a"), again.pref("b")) == (1, 2)
    assert [kept.read_text() for kept in path.parent.glob("*.bad-*")] == ["{spoilt"]


def test_two_consoles_writing_at_once_lose_nothing(path):
    stores = [SettingsStore(path), SettingsStore(path)]
    threads = [
        threading.Thread(target=lambda n=n, s=s: [(s.set_pref(f"{n}-{i}", i), s.flush()) for i in range(20)])
        for n, s in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(SettingsStore(path).current.prefs) == 40


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices are POSIX")
@pytest.mark.parametrize("kind", ["pipe", "endless device"])
def test_what_is_no_file_is_an_error_at_once(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(LocalError, match="can't be read"):
        SettingsStore(path)


def test_a_number_of_days_that_no_calendar_has_falls_back(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"history_days": 1000000000000}')
    assert SettingsStore(path).current.history_days == 365
