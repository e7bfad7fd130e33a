"""A bare SOAP client for the lab's vSphere servers, and what it finds wrong with an answer."""

from __future__ import annotations

import http.client
import ssl
import xml.etree.ElementTree as ET
from typing import Any
from xml.sax.saxutils import escape

from pyVmomi import VmomiSupport

from tests.backends.vsphere_lab import VsphereLab

V = "{urn:vim25}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"


class Soap:
    """A bare client: SOAP text over HTTPS with the session's cookie."""

    def __init__(self, lab: VsphereLab) -> None:
        self.lab = lab
        context = ssl._create_unverified_context()
        self.connection = http.client.HTTPSConnection(lab.address, lab.port, timeout=20, context=context)
        self.headers: dict[str, str] = {}
        self.call(
            "Login",
            "SessionManager",
            "SessionManager",
            f"<userName>{escape(lab.site.user)}</userName><password>{escape(lab.site.password)}</password>",
        )

    def call(self, method: str, kind: str, moid: str, inner: str = "") -> list[ET.Element]:
        """The ``returnval`` elements; raises ``LookupError`` with the fault's class."""
        body = (
            '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>'
            f'<{method} xmlns="urn:vim25"><_this type="{kind}">{escape(moid)}</_this>{inner}</{method}>'
            "</e:Body></e:Envelope>"
        )
        self.connection.request("POST", "/sdk", body.encode(), {"Content-Type": "text/xml", **self.headers})
        with self.connection.getresponse() as response:
            cookie = response.getheader("Set-Cookie")
            root = ET.fromstring(response.read())
        if cookie:
            self.headers["Cookie"] = cookie.partition(";")[0]
        fault = root.find(".//detail")
        if fault is not None:
            raise LookupError(fault[0].tag.rpartition("}")[2].removesuffix("Fault"))
        return root.findall(f".//{V}{method}Response/{V}returnval")

    def one(self, method: str, kind: str, moid: str, inner: str = "") -> ET.Element:
        """The only ``returnval``."""
        (found,) = self.call(method, kind, moid, inner)
        return found

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
        """(status, type, body) of a plain request."""
        self.connection.request(method, path, headers=headers)
        with self.connection.getresponse() as response:
            return response.status, response.getheader("Content-Type", ""), response.read()

    def everything_below(self, kinds: str = "") -> list[ET.Element]:
        """Every object of the inventory with all its properties."""
        root = self.root()
        types = "".join(f"<type>{kind}</type>" for kind in kinds.split())
        view = self.one(
            "CreateContainerView",
            "ViewManager",
            "ViewManager",
            f'<container type="Folder">{root}</container>{types}<recursive>true</recursive>',
        )
        return self.call(
            "RetrieveProperties",
            "PropertyCollector",
            "propertyCollector",
            "<specSet><propSet><type>ManagedEntity</type><all>true</all></propSet>"
            f'<objectSet><obj type="ContainerView">{view.text}</obj><skip>true</skip>'
            '<selectSet xsi:type="TraversalSpec"><name>v</name><type>ContainerView</type>'
            "<path>view</path></selectSet></objectSet></specSet>",
        )

    def root(self) -> str:
        """The root folder's id."""
        content = self.one("RetrieveServiceContent", "ServiceInstance", "ServiceInstance")
        return content.findtext(f"{V}rootFolder") or ""

    def read(self, kind: str, moid: str, *paths: str) -> dict[str, ET.Element]:
        """Properties of one object."""
        asked = "".join(f"<pathSet>{path}</pathSet>" for path in paths) or "<all>true</all>"
        found = self.one(
            "RetrieveProperties",
            "PropertyCollector",
            "propertyCollector",
            f"<specSet><propSet><type>{kind}</type>{asked}</propSet>"
            f'<objectSet><obj type="{kind}">{escape(moid)}</obj></objectSet></specSet>',
        )
        assert found.find(f"{V}missingSet") is None, ET.tostring(found)
        return {one.findtext(f"{V}name") or "": one.find(f"{V}val") for one in found.findall(f"{V}propSet")}  # type: ignore[misc]


def wrong(element: ET.Element, path: str, found: set[str]) -> None:
    """Collect what an element and all below it have that the schema does not allow."""
    kind = (element.get(XSI) or "").rpartition(":")[2]
    if not kind or kind.startswith(("ArrayOf", "xsd")) or element.get("type"):
        for child in element:
            wrong(child, f"{path}[]", found)
        return
    try:
        schema: Any = VmomiSupport.GetWsdlType("urn:vim25", kind)
    except KeyError:
        return
    if not (isinstance(schema, type) and issubclass(schema, VmomiSupport.DataObject)):
        return
    fields = [one for one in schema._GetPropertyList() if not one.name.startswith("dynamic")]
    order = [one.name for one in fields]
    names = [child.tag.removeprefix(V) for child in element]
    known = [name for name in names if name in order]
    found.update(f"{kind}.{name} does not exist" for name in names if name not in order)
    if known != sorted(known, key=order.index):
        found.add(f"{kind} out of order: {known}")
    lists = {one.name for one in fields if issubclass(one.type, list)}
    found.update(
        f"{kind}.{one.name} is required ({path})"
        for one in fields
        if not one.flags & VmomiSupport.F_OPTIONAL and one.name not in names and one.name not in lists
    )
    for child in element:
        wrong(child, f"{path}.{child.tag.removeprefix(V)}", found)


def until_done(lab: VsphereLab, task_id: str) -> None:
    """Wait for the end of a task."""
    assert lab.world.tasks[task_id].done.wait(10)
