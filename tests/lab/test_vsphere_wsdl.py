"""The description of its API that the lab gives clients which make their calls out of it (zeep, suds, Java, .NET)."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hvconsole.lab.sites import Identity
from tests.backends.vsphere_lab import vsphere_lab
from tests.lab.vsphere_soap import Soap

W = "{http://schemas.xmlsoap.org/wsdl/}"
S = "{http://schemas.xmlsoap.org/wsdl/soap/}"
X = "{http://www.w3.org/2001/XMLSchema}"


class TestDescription:
    def test_everything_that_it_names_is_in_it(self, lab_identity: Identity) -> None:
        with vsphere_lab(lab_identity) as lab:
            soap = Soap(lab)
            status, kind, text = soap.get("/sdk/vim.wsdl")
            soap.connection.close()
        assert (status, kind.partition(";")[0]) == (200, "text/xml")
        schema = ET.fromstring(text).find(f"{W}types/{X}schema")
        assert schema is not None
        defined = [one.get("name") for tag in ("complexType", "simpleType") for one in schema.findall(f"{X}{tag}")]
        assert len(defined) == len(set(defined))
        named = {one.get(each, "") for one in schema.iter() for each in ("type", "base")}
        assert {one.removeprefix("vim25:") for one in named if one.startswith("vim25:")} <= set(defined)
        elements = {one.get("name") for one in schema.findall(f"{X}element")}
        root = ET.fromstring(text)
        operations = {one.get("name") for one in root.findall(f"{W}portType/{W}operation")}
        assert operations == {one.get("name") for one in root.findall(f"{W}binding/{W}operation")}
        assert {"RetrieveServiceContent", "RetrievePropertiesEx", "PowerOnVM_Task", "Login"} <= operations <= elements
        assert {f"{one}Response" for one in operations} <= elements
        parts = {one.get("name"): one[0].get("element", "") for one in root.findall(f"{W}message")}
        assert parts["PowerOnVM_TaskRequestMsg"] == "vim25:PowerOnVM_Task"

    def test_fields_in_their_order_with_their_parents(self, lab_identity: Identity) -> None:
        with vsphere_lab(lab_identity) as lab:
            soap = Soap(lab)
            text = soap.get("/sdk/vim.wsdl")[2]
            soap.connection.close()
        root = ET.fromstring(text)
        disk = root.find(f".//{X}complexType[@name='TraversalSpec']/{X}complexContent/{X}extension")
        assert disk is not None
        assert disk.get("base") == "vim25:SelectionSpec"
        assert [
            (one.get("name"), one.get("type"), one.get("minOccurs"), one.get("maxOccurs"))
            for one in disk.iter(f"{X}element")
        ] == [
            ("type", "xsd:string", None, None),
            ("path", "xsd:string", None, None),
            ("skip", "xsd:boolean", "0", None),
            ("selectSet", "vim25:SelectionSpec", "0", "unbounded"),
        ]

    def test_service_leads_to_it(self, lab_identity: Identity) -> None:
        with vsphere_lab(lab_identity, esxi=True) as lab:
            soap = Soap(lab)
            for path in ("/sdk/vimService.wsdl", "/sdk?wsdl"):
                status, _, text = soap.get(path)
                root = ET.fromstring(text)
                leads_to, where = root.find(f"{W}import"), root.find(f".//{S}address")
                assert status == 200
                assert leads_to is not None
                assert where is not None
                assert leads_to.get("location") == "vim.wsdl"
                assert where.get("location") == "https://localhost/sdk/vimService"
            soap.connection.request("POST", "/sdk/vimService", b"<not soap", {"Content-Type": "text/xml"})
            with soap.connection.getresponse() as response:
                assert response.status == 500
                assert b"Fault" in response.read()
            soap.connection.close()
