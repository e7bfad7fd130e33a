"""Ten thousand damaged answers through the readers: refused or read, never another exception, never slow."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from hvconsole.backends import hyperv_facts as facts
from hvconsole.backends import wmi_instance, wsman_envelope, wsman_faults, wsman_reply
from hvconsole.backends.hyperv_facts import settings_epr
from hvconsole.backends.wsman_envelope import V2, Request, wmi_uri
from hvconsole.errors import HvError
from hvconsole.lab.hyperv import HypervServer
from hvconsole.lab.sites import Identity

from .hyperv_lab import HypervLab, hyperv_lab

ROUNDS = 10_000
_BYTES = b"<>&;\"'/= \0\x1f\xff\xc3axn:0-9[]!CDATA"


@pytest.fixture
def hosts(lab_identity: Identity) -> Iterator[HypervLab]:
    with hyperv_lab(lab_identity) as running:
        yield running


def recorded(server: HypervServer, request: Request) -> tuple[str, bytes]:
    message_id, raw = wsman_envelope.write(request, "https://h/wsman")
    return message_id, server.service.handle(raw, auth="ntlm", user="x").body


def damaged(source: random.Random, raw: bytes) -> bytes:
    body = bytearray(raw)
    for _ in range(source.randint(1, 6)):
        kind = source.randrange(5)
        at = source.randrange(len(body) + 1)
        if kind == 0 and body:
            body[at % len(body)] = source.choice(_BYTES)
        elif kind == 1:
            body[at:at] = bytes(source.choices(_BYTES, k=source.randint(1, 8)))
        elif kind == 2:
            del body[at : at + source.randint(1, 40)]
        elif kind == 3:
            other = source.randrange(len(body) + 1)
            body[at:at] = body[other : other + source.randint(1, 200)]
        else:
            body = body[: max(20, at)]
    return bytes(body)


def as_page(body: object) -> None:
    for record in wsman_reply.read_page(body).records:  # type: ignore[arg-type]
        facts.state_fact(record)
        facts.settings_fact(record)
        facts.guest_addresses(record)
        facts.hardware_facts([record])


def as_output(body: object) -> None:
    _value, output = wsman_reply.read_output(body, "GetSummaryInformation")  # type: ignore[arg-type]
    for record in output.records("SummaryInformation"):
        facts.state_fact(record)
        facts.guest_fact(record)
    output.references("Job")


def test_damaged_answers(hosts: HypervLab) -> None:
    source = random.Random(20261123)
    services = wmi_uri(V2, "Msvm_VirtualSystemManagementService")
    summary = wsman_envelope.invoke_request(
        wsman_envelope.Epr(services, (("CreationClassName", "Msvm_VirtualSystemManagementService"),)),
        "GetSummaryInformation",
        {"RequestedInformation": [0, 1, 100, 104, 106, 110]},
    )
    samples: list[tuple[str, bytes, Callable[[object], None]]] = [
        (*recorded(hosts.server, wsman_envelope.enumerate_request(wmi_uri(V2, "*"), query)), as_page)
        for query in (
            "SELECT * FROM Msvm_VirtualSystemSettingData",
            "SELECT Name, EnabledState FROM Msvm_ComputerSystem",
            "SELECT * FROM Msvm_GuestNetworkAdapterConfiguration",
            "SELECT * FROM Msvm_EthernetPortAllocationSettingData",
        )
    ]
    samples.append((*recorded(hosts.server, summary), as_output))
    samples.append((*recorded(hosts.server, wsman_envelope.get_request(settings_epr("00000000"))), as_page))
    slowest, accepted = 0.0, 0
    for number in range(ROUNDS):
        message_id, raw, read = samples[number % len(samples)]
        broken = damaged(source, raw)
        begun = time.perf_counter()
        try:
            body = wsman_reply.read_body(broken, message_id, 100_000)
            fault = wsman_faults.read(body)
            if fault is not None:
                wsman_faults.translate(fault, "testing")
            else:
                read(body)
            accepted += 1
        except HvError:
            pass
        slowest = max(slowest, time.perf_counter() - begun)
    assert accepted > 100
    assert slowest < 2


def test_damaged_facts_of_guests(hosts: HypervLab) -> None:
    source = random.Random(1)
    text = (
        b'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Name" TYPE="string"><VALUE>OSName</VALUE>'
        b'</PROPERTY><PROPERTY.ARRAY NAME="x" TYPE="string"><VALUE.ARRAY><VALUE>1</VALUE></VALUE.ARRAY>'
        b"</PROPERTY.ARRAY></INSTANCE>"
    )
    for _ in range(3000):
        try:
            wmi_instance.read(damaged(source, text).decode("utf-8", "replace"))
        except HvError:
            continue
