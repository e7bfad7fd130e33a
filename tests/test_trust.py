"""Pins: remembered privately, replaced only by an explicit yes, never silently lost."""

import datetime as dt
import os
import stat

import pytest

from hvconsole.errors import InvalidInput, LocalError
from hvconsole.model import Certificate
from hvconsole.trust import FixedPins, PinStore, format_fingerprint, parse_fingerprint

A, B = "aa" * 32, "bb" * 32


def certificate(sha256: str = A, host: str = "pool.example") -> Certificate:
    now = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    return Certificate(host=host, port=443, sha256=sha256, subject="CN=x", issuer="CN=y", not_before=now, not_after=now)


def test_an_accepted_certificate_is_known_again_after_a_restart(tmp_path):
    path = tmp_path / "hvconsole" / "certificates.json"
    PinStore(path).accept(certificate())
    assert PinStore(path).pinned("POOL.example", 443) == certificate()
    assert PinStore(path).pinned("pool.example", 444) is None


def test_the_file_is_private_under_any_umask(tmp_path):
    before = os.umask(0)
    try:
        path = tmp_path / "hvconsole" / "certificates.json"
        PinStore(path).accept(certificate())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_accepting_another_replaces_and_forgetting_asks_again(tmp_path):
    store = PinStore(tmp_path / "pins.json")
    store.accept(certificate())
    store.accept(certificate(B))
    store.accept(certificate(host="other"))
    assert [pin.sha256 for pin in store.all()] == [A, B]
    store.forget("Pool.example", 443)
    assert PinStore(tmp_path / "pins.json").pinned("pool.example", 443) is None


def test_accepting_says_so_when_another_console_spoilt_the_file(tmp_path):
    path = tmp_path / "pins.json"
    store = PinStore(path)
    store.accept(certificate())
    path.write_text("spoilt")
    with pytest.raises(LocalError, match="can't be read"):
        store.accept(certificate(host="other"))
    assert store.pinned("pool.example", 443) is not None
    assert path.read_text() == "spoilt"


def test_a_host_is_the_same_in_capitals(tmp_path):
    store = PinStore(tmp_path / "pins.json")
    store.accept(certificate(host="POOL.Example"))
    assert store.pinned("pool.example", 443) is not None
    store.accept(certificate(B, host="pool.example"))
    assert [pin.sha256 for pin in store.all()] == [B]
    assert FixedPins({("POOL.example", 443): A}, store).pinned("pool.EXAMPLE", 443).sha256 == A


def test_dates_come_back_as_the_same_moments_in_utc(tmp_path):
    east = dt.timezone(dt.timedelta(hours=2))
    made = dt.datetime(2026, 3, 29, 3, 30, tzinfo=east)
    store = PinStore(tmp_path / "pins.json")
    store.accept(Certificate(host="pool", port=443, sha256=A, not_before=made, not_after=made))
    again = PinStore(tmp_path / "pins.json").pinned("pool", 443)
    assert again.not_before == made
    assert again.not_before.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"pins": [{"host": "x"}]}', '{"pins": [{"host":"x","port":1,"sha256":"zz"}]}']
)
def test_a_damaged_file_is_an_error_and_stays_where_it_is(tmp_path, content):
    path = tmp_path / "pins.json"
    path.write_text(content)
    with pytest.raises(LocalError, match="can't be read"):
        PinStore(path)
    assert path.read_text() == content


@pytest.mark.parametrize("typed", [A.upper(), format_fingerprint(A), f" sha256 {A} ", f"SHA256:{A}"])
def test_a_fingerprint_is_read_as_people_copy_it(typed):
    assert parse_fingerprint(typed) == A


@pytest.mark.parametrize("typed", ["", "ab" * 20, "g" * 64, A + "0"])
def test_other_fingerprints_are_refused(typed):
    with pytest.raises(InvalidInput):
        parse_fingerprint(typed)


def test_a_given_fingerprint_stands_before_the_store():
    store = PinStore()
    store.accept(certificate())
    fixed = FixedPins({("pool.example", 443): B}, store)
    assert fixed.pinned("pool.example", 443).sha256 == B
    assert fixed.pinned("other", 443) is None


def test_a_pin_that_cannot_be_saved_is_not_used(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    store = PinStore(blocked / "pins.json")
    with pytest.raises(LocalError):
        store.accept(certificate())
    assert store.pinned("pool.example", 443) is None


def test_a_pin_is_not_used_where_the_list_cannot_be_locked(tmp_path):
    (tmp_path / "pins.json.lock").mkdir()
    store = PinStore(tmp_path / "pins.json")
    with pytest.raises(LocalError, match="can't be written"):
        store.accept(certificate())
    assert store.all() == ()


def test_two_consoles_keep_what_each_of_them_accepted(tmp_path):
    path = tmp_path / "pins.json"
    first, second = PinStore(path), PinStore(path)
    first.accept(certificate())
    second.accept(certificate(B, host="other"))
    first.forget("other", 443)
    assert [pin.sha256 for pin in PinStore(path).all()] == [A]


@pytest.mark.skipif(os.name != "posix", reason="modes and devices are POSIX")
@pytest.mark.parametrize("kind", ["pipe", "endless device"])
def test_what_is_no_file_is_an_error_at_once(tmp_path, kind):
    path = tmp_path / "pins.json"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(LocalError, match="can't be read"):
        PinStore(path)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_list_that_others_can_change_is_not_believed(tmp_path):
    path = tmp_path / "pins.json"
    PinStore(path).accept(certificate())
    path.chmod(0o666)
    assert PinStore(path).all()  # nobody else gets into a private folder
    tmp_path.chmod(0o755)
    with pytest.raises(LocalError, match="chmod 600"):
        PinStore(path)
