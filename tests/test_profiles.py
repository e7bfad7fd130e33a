"""Addresses and URLs as people type them."""

import pytest

from hvconsole.errors import InvalidInput
from hvconsole.profiles import new_profile, parse_address, parse_addresses, parse_url


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("pool.example", "pool.example", 443),
        (" Pool.Example:8443 ", "pool.example", 8443),
        ("10.0.0.1", "10.0.0.1", 443),
        ("2001:db8::1", "2001:db8::1", 443),
        ("[2001:DB8:0::1]:444", "2001:db8::1", 444),
        ("[fe80::1%eth0]", "fe80::1%eth0", 443),
    ],
)
def test_an_address_is_understood(typed, host, port):
    assert parse_address(typed, 443) == (host, port)


@pytest.mark.parametrize(
    "typed",
    ["", "root@pool", "a b", "host:0", "host:65536", "host:8o", "[::1", "[::1]x", "-x", "999.1.1.1", "x" * 300, "h\nx"],
)
def test_a_bad_address_is_refused_with_a_sentence(typed):
    with pytest.raises(InvalidInput) as caught:
        parse_address(typed, 443)
    assert caught.value.user_text.endswith(".")


def test_several_addresses_are_one_pool_and_repetitions_count_once():
    assert parse_addresses("a; b:444 ;a", "xenserver") == (("a", 443), ("b", 444))


def test_no_address_at_all_is_refused():
    with pytest.raises(InvalidInput):
        parse_addresses(" ; ", "xenserver")


@pytest.mark.parametrize(
    ("url", "platform", "address", "user", "options"),
    [
        ("xenserver://root@pool.example", "xenserver", ("pool.example", 443), "root", {}),
        ("vsphere://admin%40vsphere.local@vc:444/", "vsphere", ("vc", 444), "admin@vsphere.local", {}),
        ("hyperv://HV1", "hyperv", ("hv1", 5986), "Administrator", {"scheme": "https"}),
        ("hyperv+http://CORP%5Cann@[::1]", "hyperv", ("::1", 5985), "CORP\\ann", {"scheme": "http"}),
    ],
)
def test_a_url_names_platform_user_and_address(url, platform, address, user, options):
    profile = parse_url(url)
    assert (profile.platform, profile.addresses[0], profile.user) == (platform, address, user)
    assert dict(profile.options) == options


@pytest.mark.parametrize(
    "url",
    [
        "http://x",
        "xenserver://",
        "xenserver://root:secret@x",
        "xenserver://x/path",
        "xenserver://[::1",
        "xenserver://x?y",
        "xenserver://x:" + "9" * 5000,
    ],
)
def test_a_bad_url_is_refused_and_never_repeats_a_password(url):
    with pytest.raises(InvalidInput) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


def test_url_and_address_text_leave_out_the_default_port():
    profile = new_profile("hyperv", "hv1; hv2:7000", options={"scheme": "http"})
    assert profile.address_text == "hv1; hv2:7000"
    assert profile.url == "hyperv+http://Administrator@hv1"
    assert parse_url(profile.url).addresses == (("hv1", 5985),)


def test_an_unknown_platform_is_refused():
    with pytest.raises(InvalidInput):
        new_profile("lxc", "host")


def test_a_profile_becomes_a_target_with_its_known_members():
    target = new_profile("xenserver", "a", options={"emergency": "yes"}).target()
    assert target.options == {"emergency": "yes"}
    assert target.addresses == (("a", 443),)
