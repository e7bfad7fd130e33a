"""The WS-Management service: Identify, Enumerate, Pull, Release, Get, Put, Invoke on the picture of one host.

Any thread (one per connection); enumeration contexts have their own lock.
"""

from __future__ import annotations

import threading
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from xml.sax.saxutils import escape

from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.hyperv import methods, schema, soap, wql
from hvconsole.lab.hyperv.instance import Inst, Ref, parse_path
from hvconsole.lab.hyperv.methods import Call
from hvconsole.lab.hyperv.parameters import BadParameter, Parameters, read_reference
from hvconsole.lab.hyperv.picture import Picture
from hvconsole.lab.hyperv.soap import ENUMERATION, TRANSFER, WSMAN, Fault, Request

_N = f"{{{ENUMERATION}}}"
_W = f"{{{WSMAN}}}"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
QUERIES = frozenset({WQL, "http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf", ""})
"""Dialects in which a query may be; the DMTF's is close enough to WQL for the one to pass as the other."""
SELECTORS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
ASSOCIATION = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"


NEWER = frozenset({"UserSnapshotType", "IsSaved", "AutomaticSnapshotsEnabled", "IsAutomaticSnapshot"})
"""Columns that Windows Server 2012 R2 (``site.extra["old"]``) does not have."""


class Dropped(Exception):
    """A fault rule says: close the connection without an answer."""


@dataclass(slots=True)
class Limits:
    """The quotas of the WinRM service."""

    max_envelope_bytes: int = 500 * 1024
    max_operations: int = 1500
    enumeration_s: float = 60.0


@dataclass(slots=True)
class Response:
    """HTTP status and SOAP body."""

    status: int
    body: bytes


@dataclass(slots=True)
class _Context:
    items: list[str]
    position: int = 0
    used: float = 0.0


@dataclass(slots=True)
class Statistics:
    """What was asked, for tests and benchmarks."""

    counts: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str) -> None:
        """One more request of that name; any thread."""
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1

    @property
    def requests(self) -> int:
        """All requests so far."""
        with self.lock:
            return sum(self.counts.values())


class Service:
    """One host's WS-Management service."""

    def __init__(self, picture: Picture, limits: Limits | None = None) -> None:
        self._picture = picture
        self.limits = limits or Limits()
        self.statistics = Statistics()
        self._methods = methods.table()
        self._lock = threading.Lock()
        self._contexts: dict[str, _Context] = {}
        self._actions: dict[str, Callable[[Request], str]] = {
            f"{ENUMERATION}/Enumerate": self._enumerate,
            f"{ENUMERATION}/Pull": self._pull,
            f"{ENUMERATION}/Release": self._release,
            f"{TRANSFER}/Get": self._get,
            f"{TRANSFER}/Put": self._put,
        }

    @property
    def open_enumerations(self) -> int:
        """Contexts that nobody has finished, released or forgotten."""
        with self._lock:
            return len(self._contexts)

    def handle(self, raw: bytes, *, auth: str, user: str) -> Response:
        """Answer one message. Raises ``Dropped``."""
        try:
            request = soap.parse(raw)
        except soap.Malformed:
            return Response(500, replace(soap.BAD_BODY).envelope("", self._picture.server))
        name = self._name(request)
        self.statistics.count(name)
        rule = self._rule(request, name)
        if rule is not None:
            answered = self._misbehave(rule, request)
            if answered is not None:
                return answered
        response = self._answer(request, auth, user)
        if rule is not None and rule.effect is Effect.DROP_AFTER:
            raise Dropped
        return response

    @staticmethod
    def _name(request: Request) -> str:
        if request.identify:
            return "Identify"
        last = request.action.rpartition("/")[2]
        if request.action.startswith((ENUMERATION, TRANSFER)):
            return last
        return f"{request.class_name}.{last}"

    def _rule(self, request: Request, name: str) -> FaultRule | None:
        world = self._picture.world
        concerned = [value for _, value in request.selectors]
        concerned += [item.text or "" for item in request.body.iter(f"{_W}Selector")]
        guids = [part.lower() for value in concerned for part in value.removeprefix("Microsoft:").split("\\")[:1]]
        with world.lock:
            names = [found.name for guid in guids if (found := world.vms.get(guid) or world.snapshots.get(guid))]
        return world.faults.decide(self._picture.site.id, name, tuple([*guids, *names]))

    def _misbehave(self, rule: FaultRule, request: Request) -> Response | None:
        if rule.delay_s:
            threading.Event().wait(rule.delay_s)
        if rule.effect is Effect.DROP_BEFORE:
            raise Dropped
        if rule.effect is Effect.GARBAGE:
            return Response(200, rule.body)
        if rule.effect is not Effect.FAULT:
            return None
        code = int(rule.code or "0x80338000", 0)
        text = " ".join(rule.params) or "An error was asked for."
        if code < 0x10000 and "." in self._name(request) and code != 5:
            method = request.action.rpartition("/")[2]
            return Response(200, self._output(request, method, {"ReturnValue": code}, ()))
        known = next((fault for fault in vars(soap).values() if isinstance(fault, Fault) and fault.code == code), None)
        fault = replace(known, text=text) if known else Fault(code, "w:InternalError", text, sender=False)
        return self._fault(fault, request)

    def _answer(self, request: Request, auth: str, user: str) -> Response:
        if request.identify:
            version = self._picture.site.version
            return Response(
                200, soap.identify(request.identify, "Microsoft Corporation", f"OS: {version} SP: 0.0 Stack: 3.0")
            )
        try:
            if request.strange is not None:
                raise soap.Refused(request.strange)
            if not request.uri:
                raise soap.Refused(soap.BAD_URI)
            if self._picture.site.extra.get("access_denied"):
                raise soap.Refused(soap.ACCESS_DENIED)
            action = self._actions.get(request.action)
            if action is not None:
                body = action(request)
                response = soap.respond(request.action + "Response", request.message_id, body)
            elif request.action.startswith(request.uri + "/") or request.action.lower().startswith(
                request.uri.lower() + "/"
            ):
                response = self._invoke(request, auth, user)
            else:
                raise soap.Refused(soap.NO_ACTION)
            if len(response) > min(request.max_envelope, self.limits.max_envelope_bytes):
                raise soap.Refused(soap.TOO_LARGE)
            return Response(200, response)
        except soap.Refused as refused:
            return self._fault(refused.fault, request)

    def _fault(self, fault: Fault, request: Request) -> Response:
        form = self._picture.site.extra.get("fault_form") == "wmi"
        return Response(500, fault.envelope(request.message_id, self._picture.server, wmi_form=form))

    # ---- lists ---------------------------------------------------------------------------------------------

    def _enumerate(self, request: Request) -> str:
        element = request.body.find(f"{_N}Enumerate")
        if element is None:
            raise soap.Refused(soap.BAD_BODY)
        mode = (element.findtext(f"{_W}EnumerationMode") or "").strip()
        if mode not in ("", "EnumerateObject", "EnumerateEPR", "EnumerateObjectAndEPR"):
            raise soap.Refused(soap.BAD_MODE)
        items = self._render(self._select(request, element), mode)
        optimized = element.find(f"{_W}OptimizeEnumeration") is not None
        if not optimized:
            context = self._open(items)
            return f"<n:EnumerateResponse><n:EnumerationContext>{context}</n:EnumerationContext></n:EnumerateResponse>"
        # Whatever MaxElements says, Windows puts one item into the first answer.
        if len(items) <= 1:
            return (
                f"<n:EnumerateResponse><n:EnumerationContext/><w:Items>{''.join(items)}</w:Items>"
                "<w:EndOfSequence/></n:EnumerateResponse>"
            )
        context = self._open(items, position=1)
        return (
            f"<n:EnumerateResponse><n:EnumerationContext>{context}</n:EnumerationContext>"
            f"<w:Items>{items[0]}</w:Items></n:EnumerateResponse>"
        )

    def _select(self, request: Request, element: ET.Element) -> tuple[list[Inst], tuple[str, ...] | None]:
        namespace, class_name = request.namespace, request.class_name
        if namespace not in schema.NAMESPACES or (namespace == schema.V2 and self._picture.site.extra.get("no_role")):
            raise soap.Refused(soap.BAD_NAMESPACE)
        filter_ = element.find(f"{_W}Filter")
        if filter_ is None:
            filter_ = element.find(f"{_N}Filter")
        if filter_ is None:
            if schema.find(namespace, class_name) is None:
                raise soap.Refused(soap.BAD_CLASS if class_name != "*" else soap.BAD_URI)
            return self._picture.instances(namespace, class_name), None
        dialect = filter_.get("Dialect", "")
        if dialect == ASSOCIATION:
            return self._by_association(filter_), None
        if dialect == SELECTORS:
            return self._by_selectors(namespace, class_name, filter_), None
        if dialect not in QUERIES:
            raise soap.Refused(soap.BAD_DIALECT)
        if class_name != "*":
            raise soap.Refused(soap.QUERY_NEEDS_STAR)
        try:
            return self._query(namespace, "".join(filter_.itertext()))
        except wql.QueryError as exc:
            raise soap.Refused(replace(soap.BAD_QUERY, text=f"{soap.BAD_QUERY.text} ({exc})")) from exc

    def _query(self, namespace: str, text: str) -> tuple[list[Inst], tuple[str, ...] | None]:
        query = wql.parse(text)
        if isinstance(query, wql.Association):
            ref = parse_path(query.path)
            if ref is None:
                raise wql.QueryError("bad object path")
            ref = replace(ref, namespace=namespace)
            found = (
                self._picture.references_to(ref, query.result_class, query.role)
                if query.references
                else self._picture.associated(ref, query.assoc_class, query.result_class, query.role, query.result_role)
            )
            if found is None:
                raise soap.Refused(soap.BAD_CLASS)
            return found, None
        definition = schema.find(namespace, query.class_name)
        if definition is None:
            raise soap.Refused(soap.BAD_CLASS)
        columns: list[str] = []
        for name in query.columns or ():
            spelled = definition.property_named(name)
            if spelled is None or (spelled in NEWER and self._picture.site.extra.get("old")):
                raise wql.QueryError(f"no column {name}")
            columns.append(spelled)
        items = self._picture.instances(namespace, query.class_name)
        if query.where is not None:
            where = query.where
            items = [item for item in items if where(item, self._picture.server)]
        return items, tuple(columns) if query.columns is not None else None

    def _by_selectors(self, namespace: str, class_name: str, filter_: ET.Element) -> list[Inst]:
        definition = schema.find(namespace, class_name)
        if definition is None:
            raise soap.Refused(soap.BAD_CLASS)
        wanted = [(item.get("Name", ""), item.text or "") for item in filter_.iter(f"{_W}Selector")]
        if not wanted or any(definition.property_named(name) is None for name, _ in wanted):
            raise soap.Refused(soap.BAD_QUERY)
        return [
            item
            for item in self._picture.instances(namespace, class_name)
            if all(str(item.get(name)).lower() == value.lower() for name, value in wanted)
        ]

    def _by_association(self, filter_: ET.Element) -> list[Inst]:
        binding = f"{{{soap.BINDING}}}"
        query = filter_.find(f"{binding}AssociatedInstances")
        links = query is None
        if query is None:
            query = filter_.find(f"{binding}AssociationInstances")
        thing = query.find(f"{binding}Object") if query is not None else None
        if query is None or thing is None:
            raise soap.Refused(soap.BAD_QUERY)
        try:
            ref = read_reference(thing)
        except BadParameter as exc:
            raise soap.Refused(soap.BAD_QUERY) from exc
        role, result_role, assoc_class, result_class = (
            (query.findtext(f"{binding}{name}") or "").strip()
            for name in ("Role", "ResultRole", "AssociationClassName", "ResultClassName")
        )
        found = (
            self._picture.references_to(ref, result_class, role)
            if links
            else self._picture.associated(ref, assoc_class, result_class, role, result_role)
        )
        if found is None:
            raise soap.Refused(soap.BAD_CLASS)
        return found

    @staticmethod
    def _render(selected: tuple[list[Inst], tuple[str, ...] | None], mode: str) -> list[str]:
        items, columns = selected
        if columns is not None:
            return [item.fragment(columns) for item in items]
        if mode == "EnumerateEPR":
            return [f"<a:EndpointReference>{item.ref.epr()}</a:EndpointReference>" for item in items]
        if mode == "EnumerateObjectAndEPR":
            return [
                f"<w:Item>{item.xml()}<a:EndpointReference>{item.ref.epr()}</a:EndpointReference></w:Item>"
                for item in items
            ]
        return [item.xml() for item in items]

    def _open(self, items: list[str], position: int = 0) -> str:
        now = self._picture.world.now()
        with self._lock:
            self._contexts = {
                key: context
                for key, context in self._contexts.items()
                if now - context.used < self.limits.enumeration_s
            }
            if len(self._contexts) >= self.limits.max_operations:
                raise soap.Refused(soap.QUOTA)
            key = f"uuid:{str(uuid.uuid4()).upper()}"
            self._contexts[key] = _Context(items, position, now)
        return key

    def _pull(self, request: Request) -> str:
        element = request.body.find(f"{_N}Pull")
        if element is None:
            raise soap.Refused(soap.BAD_BODY)
        key = (element.findtext(f"{_N}EnumerationContext") or "").strip()
        wanted = (element.findtext(f"{_N}MaxElements") or "1").strip()
        now = self._picture.world.now()
        with self._lock:
            context = self._contexts.get(key)
            if context is None or now - context.used >= self.limits.enumeration_s:
                raise soap.Refused(soap.BAD_CONTEXT)
            # Windows looks only at the context: libvirt pulls with another class than it asked for, virt-who with
            # another namespace
            room = min(request.max_envelope, self.limits.max_envelope_bytes) - 1200
            taken: list[str] = []
            while context.position < len(context.items) and len(taken) < max(1, int(wanted)):
                item = context.items[context.position]
                room -= len(item.encode("utf-8", "surrogatepass"))
                if room < 0:
                    break
                taken.append(item)
                context.position += 1
            if not taken and context.position < len(context.items):
                raise soap.Refused(soap.TOO_LARGE)
            context.used = now
            ended = context.position >= len(context.items)
            if ended:
                del self._contexts[key]
        inside = "" if ended else f"<n:EnumerationContext>{key}</n:EnumerationContext>"
        end = "<n:EndOfSequence/>" if ended else ""
        return f"<n:PullResponse>{inside}<n:Items>{''.join(taken)}</n:Items>{end}</n:PullResponse>"

    def _release(self, request: Request) -> str:
        key = (request.body.findtext(f"{_N}Release/{_N}EnumerationContext") or "").strip()
        with self._lock:
            if self._contexts.pop(key, None) is None:
                raise soap.Refused(soap.BAD_CONTEXT)
        return ""

    # ---- instances -----------------------------------------------------------------------------------------

    def _instance(self, request: Request) -> Inst:
        namespace, class_name = request.namespace, request.class_name
        if namespace not in schema.NAMESPACES or (namespace == schema.V2 and self._picture.site.extra.get("no_role")):
            raise soap.Refused(soap.BAD_NAMESPACE)
        definition = schema.find(namespace, class_name)
        if definition is None:
            raise soap.Refused(soap.BAD_CLASS)
        given = {name.lower() for name, _ in request.selectors}
        if not given <= {key.lower() for key in definition.keys}:
            raise soap.Refused(soap.ODD_SELECTORS)
        if given == {key.lower() for key in definition.keys}:
            found = self._picture.get(Ref(namespace, definition.name, request.selectors))
        else:
            # Singletons answer to fewer selectors than they have keys.
            found = self._picture.singleton(namespace, definition.name)
            if found is not None and not all(
                str(found.get(name)).lower() == value.lower() for name, value in request.selectors
            ):
                found = None
            if found is None and self._picture.instances(namespace, definition.name):
                raise soap.Refused(soap.TOO_FEW_SELECTORS)
        if found is None:
            raise soap.Refused(soap.NOT_FOUND)
        return found

    def _get(self, request: Request) -> str:
        inst = self._instance(request)
        if not request.fragment:
            return inst.xml()
        name = inst.definition.property_named(request.fragment.partition("/")[0].rpartition(":")[2])
        if name is None:
            raise soap.Refused(soap.BAD_FRAGMENT)
        return inst.fragment((name,))

    def _put(self, request: Request) -> str:
        inst = self._instance(request)
        changed = {child.tag.rpartition("}")[2]: child.text or "" for child in next(iter(request.body), ())}
        if inst.definition.name != "Win32_OperatingSystem" or set(changed) != {"Description"}:
            # Hyper-V's own classes are changed by methods only.
            raise soap.Refused(soap.READ_ONLY)
        world, host = self._picture.world, self._picture.host
        with world.lock:
            host.description = changed["Description"]
            world.changed(host)
        return self._instance(request).xml()

    def _invoke(self, request: Request, auth: str, user: str) -> bytes:
        inst = self._instance(request)
        name = request.action.rpartition("/")[2]
        try:
            method = methods.find(self._methods, request.namespace, inst.definition.name, name)
        except methods.NoSuchMethod:
            raise soap.Refused(soap.NO_METHOD) from None
        element = next(iter(request.body), None)
        if element is not None and element.tag.rpartition("}")[2] != f"{name}_INPUT":
            raise soap.Refused(soap.BAD_BODY)
        parameters = Parameters(element)
        if "*" not in method.inputs and not set(parameters.names) <= set(method.inputs):
            raise soap.Refused(soap.BAD_PARAMETER_NAME)
        call = Call(self._picture, inst, parameters, auth, user)
        try:
            output = methods.invoke(method, call)
        except BadParameter as exc:
            raise soap.Refused(replace(soap.BAD_PARAMETER, text=f"{soap.BAD_PARAMETER.text} ({exc})")) from exc
        except methods.NoSuchInstance:
            raise soap.Refused(soap.NOT_FOUND) from None
        return self._output(request, name, output, method.outputs)

    def _output(self, request: Request, method: str, output: dict[str, Any], names: tuple[str, ...]) -> bytes:
        parts = [
            f'<p:{method}_OUTPUT xmlns:p="{request.uri}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common">'
        ]
        for name in names:
            parts.append(_out(name, output.get(name)))
        parts.append(f"<p:ReturnValue>{output['ReturnValue']}</p:ReturnValue></p:{method}_OUTPUT>")
        return soap.respond(f"{request.action}Response", request.message_id, "".join(parts))


def _out(name: str, value: Any) -> str:
    if value is None:
        return f'<p:{name} xsi:nil="true"/>'
    if isinstance(value, list):
        return "".join(_out(name, item) for item in value)
    if isinstance(value, Ref):
        return f"<p:{name}>{value.epr()}</p:{name}>"
    if isinstance(value, Inst):
        return value.embedded(name)
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return f"<p:{name}>{escape(text)}</p:{name}>"
