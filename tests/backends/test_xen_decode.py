"""The XML-RPC decoder: the same values as the standard library's, and nothing that a server can hurt us with."""

from __future__ import annotations

import xmlrpc.client
from xml.parsers.expat import ExpatError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvconsole.backends.xen_decode import ReplyDecoder
from hvconsole.errors import BadReply

TEXT = st.text(st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="￾￿"), max_size=20)
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def decode(document: bytes, piece: int = 1 << 20, elements: int = 10_000) -> object:
    decoder = ReplyDecoder(elements)
    for begin in range(0, len(document), piece):
        decoder.feed(document[begin : begin + piece])
    return decoder.close()


def reply(inner: bytes) -> bytes:
    return (
        b"<?xml version='1.0'?><methodResponse><params><param><value>"
        + inner
        + b"</value></param></params></methodResponse>"
    )


@given(VALUES, st.integers(1, 50))
def test_same_as_the_standard_library(value: object, piece: int) -> None:
    document = xmlrpc.client.dumps((value,), methodresponse=True).encode()
    expected = xmlrpc.client.loads(document)[0][0]
    assert decode(document, piece) == expected


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        (b"bare text", "bare text"),
        (b"", ""),
        (b"&lt;a&gt; &amp; &#8238;", "<a> & ‮"),
        (b"<i4>7</i4>", 7),
        (b"<i8>2147483648</i8>", 2147483648),
        (b"<boolean>1</boolean>", True),
        (b"<double>nan</double>", pytest.approx(float("nan"), nan_ok=True)),
        (b"<dateTime.iso8601>20190113T19:40:34Z</dateTime.iso8601>", "20190113T19:40:34Z"),
        (b"<array><data></data></array>", []),
        (b"<struct></struct>", {}),
        (b"<nil/>", None),
        (b"\n <string> kept </string>\n", " kept "),
        # a map key twice, as XCP-ng 8.3 sends license_params
        (
            b"<struct><member><name>a</name><value>1</value></member>"
            b"<member><name>a</name><value>2</value></member></struct>",
            {"a": "2"},
        ),
    ],
)
def test_what_xapi_sends(inner: bytes, value: object) -> None:
    assert decode(reply(inner)) == value


def test_pretty_printed_is_fine_too() -> None:
    document = b"""<methodResponse>
      <params> <param> <value> <struct> <member> <name>a</name> <value> <array> <data>
      <value>x</value> </data> </array> </value> </member> </struct> </value> </param> </params>
    </methodResponse>"""
    assert decode(document) == {"a": ["x"]}


def test_fault() -> None:
    document = xmlrpc.client.dumps(xmlrpc.client.Fault(401, "no"), methodresponse=True).encode()
    with pytest.raises(xmlrpc.client.Fault) as caught:
        decode(document)
    assert caught.value.faultCode == 401


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"<!DOCTYPE a [<!ENTITY b 'c'>]><methodResponse/>", id="doctype"),
        pytest.param(b"<?xml version='1.0' encoding='utf-7'?><methodResponse/>", id="encoding"),
        pytest.param("<?xml version='1.0'?><methodResponse/>".encode("utf-16"), id="utf-16"),
        pytest.param(reply(b"<value>x</value>"), id="value in value"),
        pytest.param(reply(b"<array><data><value>" * 100), id="deep"),
        pytest.param(reply(b"<array><data>" + b"<value>1</value>" * 20_000 + b"</data></array>"), id="many"),
        pytest.param(b"<html><body>hello</body></html>", id="html"),
        pytest.param(b"<methodResponse><params></params></methodResponse>", id="no value"),
        pytest.param(reply(b"x" * (5 << 20)), id="long text"),
        pytest.param(b"<!-- " + b"x" * (3 << 20) + b" --><methodResponse/>", id="comment"),
    ],
)
def test_refused(document: bytes) -> None:
    for piece in (1 << 20, 5000):
        with pytest.raises(BadReply):
            decode(document, piece)


def test_doctype_across_two_pieces() -> None:
    filler = b"<!--" + b"x" * ((1 << 18) - 4 - 3 - 4) + b"-->"
    assert len(filler) == (1 << 18) - 4
    with pytest.raises(BadReply, match="document type"):
        decode(filler + b"<!DOCTYPE a><methodResponse/>", 1000)


@settings(max_examples=300)
@given(VALUES, st.data())
def test_damaged_documents_fail_in_known_ways(value: object, data: st.DataObject) -> None:
    document = bytearray(xmlrpc.client.dumps((value,), methodresponse=True).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(document) - 1))
        kind = data.draw(st.sampled_from(["change", "cut", "repeat"]))
        if kind == "change":
            document[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del document[at : at + data.draw(st.integers(1, 30))]
        else:
            document[at:at] = document[max(0, at - 40) : at]
        if not document:
            return
    try:
        decode(bytes(document))
    except (BadReply, ExpatError, xmlrpc.client.Fault, ValueError, TypeError, LookupError, AttributeError):
        pass
