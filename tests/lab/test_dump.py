"""Databases of real pools, served and worked; damaged and hostile ones, refused or survived."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from hvconsole.lab import Lab
from hvconsole.lab.sites import Identity
from hvconsole.lab.xapi.dump import BadDump, parse_dump, parse_expression
from tests.lab.conftest import failure

REAL = Path(os.environ.get("HVCONSOLE_XAPI_DB", Path(__file__).parents[3] / "shared" / "data" / "xapi-db"))
"""Where dumps of real pools are kept; tests that need one are skipped without it."""

SMALL = """<?xml version="1.0"?>
<database><manifest/><table name="pool">
<row ref="OpaqueRef:p" name_label="Small" uuid="11111111-1111-1111-1111-111111111111" master="OpaqueRef:h"
 default_SR="OpaqueRef:s" other_config="()"/></table>
<table name="host"><row ref="OpaqueRef:h" name__label="only" uuid="22222222-2222-2222-2222-222222222222"
 address="192.0.2.1" enabled="true" metrics="OpaqueRef:m" software_version="(('product_brand' 'XenServer'))"
 cpu_info="(('modelname' 'X%_%_Y'))"/></table>
<table name="host_metrics"><row ref="OpaqueRef:m" live="true" memory__total="17179869184"/></table>
<table name="SR"><row ref="OpaqueRef:s" name__label="disk" type="lvm" shared="false"/></table>
<table name="PBD"><row ref="OpaqueRef:b" host="OpaqueRef:h" SR="OpaqueRef:s" currently_attached="true"/></table>
<table name="VM">
<row ref="OpaqueRef:a" uuid="33333333-3333-3333-3333-333333333333" name__label="it\u2019s &lt;ok&gt;"
 power_state="Running" resident_on="OpaqueRef:h" guest_metrics="OpaqueRef:g" is_a_template="false"
 memory__static_max="1073741824" other_config="(('note' 'don\\'t %n panic 100%%'))" tags="('a' 'b c')"
 invented="(('x' 'y'))" VCPUs__at_startup="2"/>
<row ref="OpaqueRef:c" name__label="self" is_a_snapshot="true" is_a_template="true" snapshot_of="OpaqueRef:c"
 parent="OpaqueRef:c" power_state="Halted"/>
<row ref="OpaqueRef:d" name__label="orphan" is_a_snapshot="true" is_a_template="true" snapshot_of="OpaqueRef:gone"
 power_state="Suspended"/>
<row ref="OpaqueRef:e" name__label="odd" power_state="Crashed" resident_on="OpaqueRef:gone"/>
<row ref="OpaqueRef:a" name__label="the same reference again"/><row name__label="no reference"/>
</table>
<table name="VIF"><row ref="OpaqueRef:v" VM="OpaqueRef:a" device="1" network="OpaqueRef:none"/></table>
<table name="VM_guest_metrics"><row ref="OpaqueRef:g"
 networks="(('1/ip' '192.0.2.77') ('7/ip' '192.0.2.78 2001:db8::1'))"
 os_version="(('name' 'Debian'))" PV_drivers_version="(('major' '7') ('minor' '0') ('micro' '0'))"/></table>
<table name="no_such_class"><row ref="OpaqueRef:z"/></table></database>
"""


class Served:
    """A lab on a dump with a session."""

    def __init__(self, path: Path, identity: Identity) -> None:
        self.lab = Lab.from_xapi_db(path, identity=identity).start()
        server = self.lab.servers[0]
        self.session = XenAPI.Session(f"https://{server.members[0]}", ignore_ssl=True)
        self.session.xenapi.login_with_password(server.user, server.password)
        self.api: Any = self.session.xenapi

    def close(self) -> None:
        self.session("close")()
        self.lab.stop()


@pytest.fixture
def small(tmp_path: Path, lab_identity: Identity) -> Iterator[Served]:
    path = tmp_path / "small.xml"
    path.write_text(SMALL, encoding="utf-8")
    served = Served(path, lab_identity)
    yield served
    served.close()


@pytest.fixture(params=["pool.xml", "pool-with-snapshots.xml"])
def real(request: pytest.FixtureRequest, lab_identity: Identity) -> Iterator[Served]:
    path = REAL / str(request.param)
    if not path.exists():
        pytest.skip(f"no dump of a real pool at {path}")
    served = Served(path, lab_identity)
    yield served
    served.close()


@pytest.mark.parametrize(("written", "meant"), [
    ("Debian%.Bullseye%.11", "Debian Bullseye 11"),  # how xapi writes every blank since XenServer 7.3
    ("CPU%_%_%_%_%_ X3450%_@ 2.67GHz", "CPU" + " " * 11 + "X3450  @ 2.67GHz"),  # before, two blanks at a time
    ("a%nb%tc%%d%", "a\nb\tc%d%"), ("100%%.", "100%."), ("%x", "%x"),
])  # fmt: skip
def test_blanks_as_every_version_writes_them(written: str, meant: str) -> None:
    row = f'<row ref="OpaqueRef:a" name__label="{written}"/>'
    tables = parse_dump(f'<database><table name="VM">{row}</table></database>'.encode())
    assert tables["VM"]["OpaqueRef:a"]["name_label"] == meant


def test_rows_are_served_as_they_were(small: Served) -> None:
    api = small.api
    record = api.VM.get_record("OpaqueRef:a")
    assert record["name_label"] == "it\u2019s <ok>"
    assert record["other_config"] == {"note": "don't \n panic 100%"}
    assert record["tags"] == ["a", "b c"]
    assert record["invented"] == {"x": "y"}
    assert record["VIFs"] == ["OpaqueRef:v"]
    assert "domain_type" not in record  # an old pool has no such field
    assert failure(api.VM.get_domain_type, "OpaqueRef:a")[0] == "MESSAGE_METHOD_UNKNOWN"
    assert api.host.get_cpu_info("OpaqueRef:h")["modelname"] == "X    Y"
    assert api.host.get_resident_VMs("OpaqueRef:h") == ["OpaqueRef:a"]
    assert api.VM.get_power_state("OpaqueRef:e") == "Crashed"


def test_strange_snapshots_stay_as_they_are(small: Served) -> None:
    assert small.api.VM.get_snapshot_of("OpaqueRef:c") == "OpaqueRef:c"
    assert small.api.VM.get_snapshots("OpaqueRef:c") == ["OpaqueRef:c"]
    assert small.api.VM.get_snapshot_of("OpaqueRef:d") == "OpaqueRef:gone"


def test_guests_answer_at_the_addresses_of_the_dump(small: Served) -> None:
    for address in ("192.0.2.77", "192.0.2.78", "2001:db8::1"):
        assert small.lab.world.answers(address)
    small.api.VM.hard_shutdown("OpaqueRef:a")
    assert not small.lab.world.answers("192.0.2.77")


def test_a_loaded_machine_works_like_any_other(small: Served) -> None:
    api, vm = small.api, "OpaqueRef:a"
    snapshot = api.VM.snapshot(vm, "new")
    assert api.VM.get_snapshots(vm) == [snapshot]
    api.VM.clean_shutdown(vm)
    assert api.VM.get_resident_on(vm) == "OpaqueRef:NULL"
    assert api.VM.get_name_label(vm) == "it\u2019s <ok>"
    api.VM.start(vm, False, False)
    copy = api.VM.copy(snapshot, "copy", "OpaqueRef:NULL")
    api.VM.start(copy, False, False)
    api.VM.revert(snapshot)
    assert api.VM.get_power_state(vm) == "Halted"
    api.VM.destroy(vm)


def test_real_pools_are_served(real: Served) -> None:
    api = real.api
    batch = getattr(api.event, "from")(["*"], "", 5.0)
    records = api.VM.get_all_records()
    assert batch["valid_ref_counts"]["vm"] == len(records)
    running = [
        ref for ref, record in records.items() if record["power_state"] == "Running" and not record["is_control_domain"]
    ]
    assert running
    for ref in running:
        assert ref in api.host.get_resident_VMs(records[ref]["resident_on"])
        metrics = records[ref]["guest_metrics"]
        if metrics != "OpaqueRef:NULL":
            assert real.lab.world.answers(api.VM_guest_metrics.get_networks(metrics)["0/ip"])
        snapshot = api.VM.snapshot(ref, "by the lab")
        api.VM.hard_shutdown(ref)
        api.VM.revert(snapshot)
        api.VM.start(ref, False, False)
        assert api.VM.get_power_state(ref) == "Running"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "well-formed"),
        ("<database>", "well-formed"),
        ("<html/>", "root element"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><database/>", "DOCTYPE"),
        ("<?xml version='1.0' encoding='bogus'?><database/>", "well-formed"),
        ("<?xml version='1.0' encoding='idna'?><database/>", "well-formed"),
        ("<database>" + "<a>" * 20 + "</a>" * 20 + "</database>", "deeply"),
    ],
)
def test_what_is_no_dump_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadDump, match=why):
        parse_dump(text.encode())


def test_a_dump_without_hosts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.xml"
    path.write_text("<database/>")
    with pytest.raises(BadDump, match="no host"):
        Lab.from_xapi_db(path)


@pytest.mark.parametrize("text", ["", "'a'", "(", "('a'", "('a' b)", "('a'))", "((((('a')))))", "('a", "()x"])
def test_broken_expressions_are_errors(text: str) -> None:
    with pytest.raises(ValueError, match=r"missing|end|list|follows"):
        parse_expression(text)


def test_expressions_are_read_with_their_escapes() -> None:
    assert parse_expression(r"""(('k' 'it\'s \"q\" \\') ('' ''))""") == [["k", 'it\'s "q" \\'], ["", ""]]


def test_mutilated_dumps_are_refused_or_served(tmp_path: Path, lab_identity: Identity) -> None:
    """Values exchanged, emptied and garbled at random: never a crash, always the same for the same seed."""
    values = re.findall(r'"[^"]*"', SMALL)
    for seed in range(40):
        chance = random.Random(seed)
        junk = [
            *values,
            '""',
            '"OpaqueRef:h"',
            '"OpaqueRef:a"',
            '"99999999999999999999"',
            '"-1"',
            '"true"',
            '"("',
            "\"(('a'))\"",
            '"%"',
        ]
        text = re.sub(
            r'"[^"]*"',
            lambda found, chance=chance, junk=junk: (
                chance.choice(junk) if chance.random() < 0.15 and "encoding" not in found[0] else found[0]
            ),
            SMALL,
        )
        path = tmp_path / "mutilated.xml"
        path.write_text(text, encoding="utf-8")
        try:
            lab = Lab.from_xapi_db(path, identity=lab_identity)
        except BadDump:
            continue
        with lab.start():
            server = lab.servers[0]
            session = XenAPI.Session(f"https://{server.members[0]}", ignore_ssl=True)
            session.xenapi.login_with_password(server.user, server.password)
            for ref in session.xenapi.VM.get_all():
                assert session.xenapi.VM.get_allowed_operations(ref)
            session("close")()
