"""The connection doctor on Windows: every finding with what to type there. And traces that can be sent to others."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hvconsole.backends import hyperv_diagnosis
from hvconsole.backends.base import Step, TaskContext
from hvconsole.backends.hyperv_read import Reader
from hvconsole.backends.wsman_trace import Trace
from hvconsole.cli import main
from hvconsole.clock import SystemClock
from hvconsole.errors import LocalError
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.sites import Identity

from .hyperv_lab import HypervLab, first, hyperv_lab


@pytest.fixture
def hosts(lab_identity: Identity) -> Iterator[HypervLab]:
    with hyperv_lab(lab_identity) as running:
        yield running


def steps(hosts: HypervLab) -> dict[str, Step]:
    return {step.name: step for step in hosts.log_in().diagnose()}


class TestDiagnosis:
    def test_a_healthy_host(self, hosts: HypervLab) -> None:
        found = steps(hosts)
        assert all(step.ok for step in found.values())
        assert "10.0.20348" in found["windows"].text
        assert "clock" in found
        assert "rights" in found
        assert "Enable-VMMigration" in found["migration"].remedy

    def test_clock(self, hosts: HypervLab) -> None:
        hosts.server.site.extra["clock_skew_s"] = 900
        found = steps(hosts)["clock"]
        assert not found.ok
        assert "ahead of" in found.text
        assert "Kerberos" in found.text
        assert "w32tm /resync" in found.remedy

    def test_too_old(self, hosts: HypervLab) -> None:
        hosts.server.site.version = "6.1.7601"
        found = steps(hosts)["windows"]
        assert not found.ok
        assert "2012 R2" in found.remedy

    def test_rights_are_lost_for_part_of_it(self, hosts: HypervLab) -> None:
        client = hosts.client()
        reader = Reader(client)
        hosts.server.site.extra["no_rights"] = True
        found = {step.name: step for step in hyperv_diagnosis.checks(reader, SystemClock(), "")}
        assert not found["rights"].ok
        assert "LocalAccountTokenFilterPolicy" in found["rights"].remedy
        assert "TrustedHosts" not in found["rights"].remedy

    def test_quota(self, hosts: HypervLab) -> None:
        hv = hosts.log_in()
        hosts.world.faults.add(
            FaultRule(method="Enumerate", effect=Effect.FAULT, code="0x803381A6", skip=1, max_count=1)
        )
        found = {step.name: step for step in hv.diagnose()}
        assert not found["rights"].ok
        assert "MaxConcurrentOperationsPerUser" in found["rights"].remedy

    def test_cimv2_is_closed_to_the_user(self, hosts: HypervLab) -> None:
        hv = hosts.log_in()
        hosts.world.faults.add(FaultRule(method="Enumerate", effect=Effect.FAULT, code="5", max_count=1))
        found = {step.name: step for step in hv.diagnose()}
        assert not found["windows"].ok
        assert "wmimgmt.msc" in found["windows"].remedy


class TestTrace:
    def test_envelopes_without_what_names_people_or_machines(self, hosts: HypervLab, tmp_path: Path) -> None:
        path = tmp_path / "trace.xml"
        hv = hosts.log_in("http", trace=str(path))
        inventory = first(hv)
        host = next(iter(inventory.hosts))
        hv.host_info(host)
        hv.snapshot(next(iter(inventory.vms)), "traced", "", TaskContext())
        hv.close()
        text = path.read_text("utf-8")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "CreateSnapshot_INPUT" in text
        assert "GetSummaryInformation_OUTPUT" in text
        for word in (
            hosts.server.site.password,
            "127.0.0.1",
            "Administrator",
            hosts.server.host.serial,
            "Windows User",
            "00454-40000",
            "HV-ZRH-1",
            "hv-zrh-1",
        ):
            assert word not in text
        assert re.search(r"<!-- \S+ answer HTTP 200 -->", text)

    @pytest.mark.parametrize(
        "body",
        [
            "<x><p:SystemName>WIN-7Q2</p:SystemName><p:Parent>\\\\win-7q2\\root\\virtualization\\v2:X</p:Parent></x>",
            '<x><w:Selector Name="SystemName">WIN-7Q2</w:Selector></x>',
            '<f:WSManFault Code="5" Machine="win-7q2"/>',
            "<HostResource>\\\\WIN-7Q2\\root\\virtualization\\v2:Msvm_VirtualEthernetSwitch</HostResource>",
        ],
    )
    @pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
    def test_a_host_is_not_named_wherever_it_names_itself(self, tmp_path: Path, body: str, codec: str) -> None:
        trace = Trace(tmp_path / "t", SystemClock(), words=())
        assert b"win-7q2" not in trace.redacted(body.encode(codec)).lower()
        assert b"win-7q2" not in trace.redacted(b"<Description>WIN-7Q2, a host</Description>").lower()
        trace.close()

    def test_a_vm_may_keep_its_id(self, tmp_path: Path) -> None:
        body = b"<p:SystemName>6A245782-6049-4284-A30E-A6ED265E9DED</p:SystemName>"
        trace = Trace(tmp_path / "t", SystemClock(), words=())
        assert trace.redacted(body) == body
        trace.close()

    def test_a_file_that_was_there_becomes_private(self, tmp_path: Path) -> None:
        path = tmp_path / "t"
        path.touch(0o644)
        Trace(path, SystemClock(), words=()).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_from_the_command_line(
        self, hosts: HypervLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            monkeypatch.setenv(name, str(tmp_path / "home"))
        monkeypatch.setenv("HVCONSOLE_PASSWORD", hosts.server.site.password)
        url = f"hyperv+http://Administrator@127.0.0.1:{hosts.server.port('http')}"
        assert main(["list", url, "--trace", str(tmp_path / "trace.xml")]) == 0
        assert "zrh-web01" in capsys.readouterr().out
        assert "Msvm_ComputerSystem" in (tmp_path / "trace.xml").read_text("utf-8")

    def test_a_file_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(LocalError):
            Trace(tmp_path / "no" / "such", SystemClock(), words=())

    def test_names_in_any_escape(self, tmp_path: Path) -> None:
        trace = Trace(tmp_path / "t", SystemClock(), words=("o'neil&<co>",))
        assert b"neil" not in trace.redacted(b"<a>O'Neil&amp;&lt;co&gt;</a><b>o'neil&amp;amp;&amp;lt;co&amp;gt;</b>")
        trace.close()
        trace.request(b"after the end")
