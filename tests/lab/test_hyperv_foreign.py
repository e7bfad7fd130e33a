"""Clients of others against the lab's Hyper-V hosts: pypsrp's WSMan, which nobody here wrote."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.wsman import NAMESPACES, SelectorSet, WSMan, WSManAction

from hvconsole.lab import Lab
from hvconsole.lab.hyperv import HypervServer
from hvconsole.lab.sites import Identity

N = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
V2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"

WAYS = {
    "basic over TLS": {"ssl": True, "auth": "basic"},
    "NTLM over TLS": {"ssl": True, "auth": "ntlm"},
    "NTLM sealed": {"ssl": False, "auth": "ntlm"},
    "Negotiate sealed": {"ssl": False, "auth": "negotiate"},
}


@pytest.fixture
def server(lab_identity: Identity) -> Iterator[HypervServer]:
    with Lab(kinds=("hyperv",), identity=lab_identity) as lab:
        first = lab.site_servers[0]
        assert isinstance(first, HypervServer)
        yield first


@pytest.fixture
def connect(server: HypervServer) -> Iterator[Callable[..., WSMan]]:
    opened: list[WSMan] = []

    def make(*, ssl: bool, auth: str, password: str = "") -> WSMan:
        client = WSMan(
            "127.0.0.1",
            port=server.port("https" if ssl else "http"),
            username="Administrator",
            password=password or server.site.password,
            ssl=ssl,
            auth=auth,
            cert_validation=False,
            no_proxy=True,
        )
        opened.append(client)
        return client

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # urllib3 warns about the certificate that this test does not check
        yield make
    for client in opened:
        client.close()


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def client(request: pytest.FixtureRequest, connect: Callable[..., WSMan]) -> WSMan:
    return connect(**request.param)


def enumerate_(client: WSMan, uri: str, wql: str = "", *, optimize: bool = True) -> tuple[list[ET.Element], list[int]]:
    """Every item, and how many came per answer."""
    request = ET.Element(f"{{{N}}}Enumerate")
    if optimize:
        ET.SubElement(request, f"{{{W}}}OptimizeEnumeration")
        ET.SubElement(request, f"{{{W}}}MaxElements").text = "32000"
    if wql:
        ET.SubElement(request, f"{{{W}}}Filter", Dialect=WQL).text = wql
    body = client.enumerate(uri, request)
    response = body[0]
    items = list(response.find(f"{{{W}}}Items") or ())
    sizes = [len(items)]
    while response.find(f"{{{N}}}EndOfSequence") is None and response.find(f"{{{W}}}EndOfSequence") is None:
        pull = ET.Element(f"{{{N}}}Pull")
        ET.SubElement(pull, f"{{{N}}}EnumerationContext").text = response.findtext(f"{{{N}}}EnumerationContext")
        ET.SubElement(pull, f"{{{N}}}MaxElements").text = "4"
        response = client.pull(uri, pull)[0]
        found = list(response.find(f"{{{N}}}Items") or ())
        items += found
        sizes.append(len(found))
    return items, sizes


def invoke(client: WSMan, class_name: str, selectors: dict[str, str], method: str, **parameters: Any) -> ET.Element:
    uri = f"{V2}/{class_name}"
    chosen = SelectorSet()
    for name, value in selectors.items():
        chosen.add_option(name, value)
    given = ET.Element(f"{{{uri}}}{method}_INPUT")
    for name, value in parameters.items():
        for item in value if isinstance(value, list) else [value]:
            ET.SubElement(given, f"{{{uri}}}{name}").text = str(item)
    answer = client.invoke(f"{uri}/{method}", uri, given, selector_set=chosen)
    output = answer.find("s:Body", NAMESPACES)
    assert output is not None
    return output[0]


def test_identify(client: WSMan) -> None:
    wsmid = NAMESPACES["wsmid"]
    raw = client.transport.send(
        f'<s:Envelope xmlns:s="{NAMESPACES["s"]}" xmlns:i="{wsmid}"><s:Header/><s:Body><i:Identify/></s:Body>'
        "</s:Envelope>".encode()
    )
    assert ET.fromstring(raw).findtext(f".//{{{wsmid}}}ProductVendor") == "Microsoft Corporation"


def test_enumerate_and_pull_as_windows_does_it(client: WSMan) -> None:
    items, sizes = enumerate_(client, f"{V2}/*", "select * from msvm_computersystem WHERE name != __server")
    assert len(items) == 9
    assert sizes[0] == 1
    assert max(sizes) <= 4
    assert {item.tag for item in items} == {f"{{{V2}/Msvm_ComputerSystem}}Msvm_ComputerSystem"}
    names = {item.findtext(f"{{{V2}/Msvm_ComputerSystem}}ElementName") for item in items}
    assert "zrh-web01" in names


def test_columns_come_as_fragments(client: WSMan) -> None:
    items, _sizes = enumerate_(client, f"{V2}/*", "SELECT Name, ElementName FROM Msvm_ComputerSystem", optimize=False)
    assert {item.tag for item in items} == {f"{{{W}}}XmlFragment"}
    assert [child.tag for child in items[0]] == ["Name", "ElementName"]


def test_a_method_a_job_and_its_end(client: WSMan, server: HypervServer) -> None:
    vm = server.world.vm_named("zrh-test01")
    output = invoke(
        client,
        "Msvm_ComputerSystem",
        {"CreationClassName": "Msvm_ComputerSystem", "Name": vm.id.upper()},
        "RequestStateChange",
        RequestedState=2,
    )
    namespace = f"{{{V2}/Msvm_ComputerSystem}}"
    assert output.findtext(f"{namespace}ReturnValue") == "4096"
    job = output.find(f"{namespace}Job")
    assert job is not None
    uri = job.findtext(f".//{{{W}}}ResourceURI")
    selectors = SelectorSet()
    for selector in job.iter(f"{{{W}}}Selector"):
        selectors.add_option(selector.get("Name", ""), selector.text or "")
    for _ in range(50):
        state = client.get(str(uri), selector_set=selectors)[0].findtext(f"{{{uri}}}JobState")
        if state == "7":
            break
    assert state == "7"
    assert vm.power == "running"


def test_summaries_as_embedded_objects(client: WSMan) -> None:
    output = invoke(
        client,
        "Msvm_VirtualSystemManagementService",
        {"CreationClassName": "Msvm_VirtualSystemManagementService"},
        "GetSummaryInformation",
        RequestedInformation=[0, 1, 100],
    )
    summary = f"{{{V2}/Msvm_SummaryInformation}}"
    shown = {item.findtext(f"{summary}ElementName"): item.findtext(f"{summary}EnabledState") for item in output}
    assert shown["zrh-web01"] == "2"
    assert shown["zrh-build"] == "6"


def test_shells_are_not_there(client: WSMan) -> None:
    with pytest.raises(WSManFaultError):
        client.get_server_config()


def test_faults_have_code_and_provider(client: WSMan) -> None:
    with pytest.raises(WSManFaultError) as caught:
        enumerate_(client, f"{V2}/*", "SELECT * FROM Msvm_NoSuchThing")
    assert caught.value.code == 0x8033801A
    with pytest.raises(WSManFaultError):
        enumerate_(client, f"{V2}/Msvm_ComputerSystem", "SELECT * FROM Msvm_ComputerSystem")


def test_wrong_password(connect: Callable[..., WSMan]) -> None:
    for way in WAYS.values():
        with pytest.raises(AuthenticationError):
            connect(**way, password="wrong").invoke(WSManAction.GET, f"{V2}/Msvm_ComputerSystem", None)  # type: ignore[arg-type]


def test_clear_text_over_http_is_refused(server: HypervServer) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port("http"), timeout=5)
    connection.request("POST", "/wsman", b"<s:Envelope/>", {"Content-Type": "application/soap+xml"})
    assert connection.getresponse().status == 401
    connection.close()
