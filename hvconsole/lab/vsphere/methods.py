"""All methods of the API by their WSDL names, and those of sessions, views, collectors and managers.

Each takes (service, call, session), returns the XML inside the response, raises ``SoapFault`` or ``WorldError``.
Any thread; long polls wait without a lock.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING

from hvconsole.lab.vsphere.access_methods import ACCESS_METHODS
from hvconsole.lab.vsphere.collector import (
    DEFAULT_PAGE,
    Collector,
    Filter,
    content_xml,
    gather,
    parse_spec,
    selected,
    update_set,
    values_of,
)
from hvconsole.lab.vsphere.faults import SoapFault, gone
from hvconsole.lab.vsphere.history_methods import HISTORY_METHODS
from hvconsole.lab.vsphere.host_methods import HOST_METHODS
from hvconsole.lab.vsphere.inventory_methods import INVENTORY_METHODS
from hvconsole.lab.vsphere.manager_methods import MANAGER_METHODS
from hvconsole.lab.vsphere.more_methods import MORE_METHODS
from hvconsole.lab.vsphere.ovf_methods import OVF_METHODS
from hvconsole.lab.vsphere.search_methods import SEARCH_METHODS
from hvconsole.lab.vsphere.soap import Call, number
from hvconsole.lab.vsphere.state import Session, View
from hvconsole.lab.vsphere.store_methods import STORE_METHODS
from hvconsole.lab.vsphere.values import Ref, anything, field, resolve, when
from hvconsole.lab.vsphere.vm_methods import VM_METHODS

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service

_SLICE_S = 0.5
"""How often a long poll looks whether its session was ended."""
_DEFAULT_WAIT_S = 1800.0


# ---- sessions --------------------------------------------------------------------------------------------------


def _content(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        return field("returnval", service.managers.content())


def _login(service: Service, call: Call, session: Session) -> str:
    if session.key:
        raise SoapFault("InvalidLogin", "This session is logged in already.")
    site = service.site
    given = call.text("password").encode("utf-8", "replace")
    if call.text("userName").lower() != site.user.lower() or not hmac.compare_digest(given, site.password.encode()):
        service.ended.wait(service.world.timing.login_refused)
        raise SoapFault("InvalidLogin", "Cannot complete login due to an incorrect user name or password.")
    opened = service.sessions.new(site.user)
    call.element.set("session", opened.key)  # the server makes the cookie of it
    with service.world.lock:
        return field("returnval", service.managers.session(opened))


def _logout(service: Service, call: Call, session: Session) -> str:
    service.sessions.end(session)
    return ""


def _current_time(service: Service, call: Call, session: Session) -> str:
    return field("returnval", when(service.world.now()))


# ---- views -----------------------------------------------------------------------------------------------------


def _create_view(service: Service, call: Call, session: Session) -> str:
    top = call.ref("container") or service.tree.root
    service.require(top, "ManagedEntity")
    kinds = frozenset(one.text or "" for one in call.all("type"))
    name = service.sessions.name("view")
    session.objects[name] = View(top, kinds, call.flag("recursive"))
    return field("returnval", Ref("ContainerView", name))


def _forget(service: Service, call: Call, session: Session) -> str:
    if session.objects.pop(call.this.id, None) is None:
        raise gone(call.this)
    return ""


# ---- property collectors -----------------------------------------------------------------------------------------


def _collector(service: Service, call: Call, session: Session) -> Collector:
    known = session.objects.get(call.this.id)
    if isinstance(known, Collector):
        return known
    if call.this.id == "propertyCollector":
        made = Collector()
        session.objects[call.this.id] = made
        return made
    raise gone(call.this)


def _create_collector(service: Service, call: Call, session: Session) -> str:
    name = service.sessions.name("propertyCollector")
    session.objects[name] = Collector()
    return field("returnval", Ref("PropertyCollector", name))


def _create_filter(service: Service, call: Call, session: Session) -> str:
    collector = _collector(service, call, session)
    spec = call.find("spec")
    if spec is None:
        raise SoapFault("InvalidArgument", "A specification is required.", invalidProperty="spec")
    one = Filter(service.sessions.name("filter"), parse_spec(spec), call.flag("partialUpdates"))
    with service.world.lock:
        selected(service, one.spec, session)
        collector.filters[one.id] = one
    session.objects[one.id] = one
    return field("returnval", Ref("PropertyFilter", one.id))


def _destroy_filter(service: Service, call: Call, session: Session) -> str:
    if session.objects.pop(call.this.id, None) is None:
        raise gone(call.this)
    for one in session.objects.values():
        if isinstance(one, Collector):
            one.filters.pop(call.this.id, None)
    return ""


def _destroy_collector(service: Service, call: Call, session: Session) -> str:
    collector = _collector(service, call, session)
    collector.cancel.set()
    service.world.poke()
    return _forget(service, call, session)


def _contents(service: Service, call: Call, session: Session) -> list[str]:
    found: list[str] = []
    with service.world.lock:
        for element in call.all("specSet"):
            spec = parse_spec(element)
            for ref in selected(service, spec, session):
                read = values_of(service, ref, spec, session)
                if read is not None:
                    found.append(content_xml(ref, *read))
    return found


def _retrieve_old(service: Service, call: Call, session: Session) -> str:
    return "".join(
        one.replace("<objects>", "<returnval>", 1)[: -len("</objects>")] + "</returnval>"
        for one in _contents(service, call, session)
    )


def _retrieve(service: Service, call: Call, session: Session) -> str:
    collector = _collector(service, call, session)
    most = number(call.find("options"), "maxObjects") or DEFAULT_PAGE
    found = _contents(service, call, session)
    return _page(service, collector, found, most)


def _page(service: Service, collector: Collector, found: list[str], most: int) -> str:
    if not found:
        return ""
    page, rest = found[:most], found[most:]
    token = ""
    if rest:
        name = service.sessions.name("page")
        collector.pages[name] = [str(most), *rest]
        token = f"<token>{name}</token>"
    return f"<returnval>{token}{''.join(page)}</returnval>"


def _continue(service: Service, call: Call, session: Session) -> str:
    collector = _collector(service, call, session)
    kept = collector.pages.pop(call.text("token"), None)
    if kept is None:
        raise SoapFault("InvalidProperty", "The token is not valid.", name="token")
    return _page(service, collector, kept[1:], int(kept[0]))


def _cancel_retrieve(service: Service, call: Call, session: Session) -> str:
    _collector(service, call, session).pages.pop(call.text("token"), None)
    return ""


def _wait_ex(service: Service, call: Call, session: Session) -> str:
    options = call.find("options")
    wait = number(options, "maxWaitSeconds")
    return _wait(
        service, call, session, _DEFAULT_WAIT_S if wait is None else float(wait), number(options, "maxObjectUpdates")
    )


def _wait_old(service: Service, call: Call, session: Session) -> str:
    return _wait(service, call, session, 0.0 if call.method == "CheckForUpdates" else _DEFAULT_WAIT_S, None)


def _wait(service: Service, call: Call, session: Session, wait_s: float, most: int | None) -> str:
    collector = _collector(service, call, session)
    version = call.text("version")
    end = time.monotonic() + wait_s
    world = service.world
    collector.cancel.clear()
    with collector.busy:
        if version not in ("", str(collector.number)):
            raise SoapFault("InvalidCollectorVersion", "The version is not known.")
        if not version and collector.seen >= 0:
            _start_over(collector)
        while True:
            with world.lock:
                if not collector.pending and (collector.seen != world.version or not _all_started(collector)):
                    gather(service, collector, session)
                seen = collector.seen
            if collector.pending:
                return update_set(collector, most)
            left = end - time.monotonic()
            if left <= 0 or world.closed:
                return ""
            world.wait_for_change(seen, min(left, _SLICE_S))
            if session.closed.is_set():
                raise SoapFault(
                    "NotAuthenticated",
                    "The session is not authenticated.",
                    object=service.tree.root,
                    privilegeId="System.View",
                )
            if collector.cancel.is_set():
                raise SoapFault("RequestCanceled", "The request was canceled.")


def _all_started(collector: Collector) -> bool:
    return all(one.started for one in collector.filters.values())


def _start_over(collector: Collector) -> None:
    collector.seen = -1
    collector.pending.clear()
    for one in collector.filters.values():
        one.known.clear()
        one.started = False


def _cancel_wait(service: Service, call: Call, session: Session) -> str:
    _collector(service, call, session).cancel.set()
    service.world.poke()
    return ""


def _fetch(service: Service, call: Call, session: Session) -> str:
    path = call.text("prop")
    with service.world.lock:
        properties = service.properties(call.this, session)
        if properties is None:
            raise gone(call.this)
        top, _, rest = path.partition(".")
        if top not in properties:
            raise SoapFault("InvalidProperty", f"no property {path}", name=path)
        value = resolve(properties[top](), rest.split(".") if rest else [])
        return "" if value is None else anything("returnval", value)


METHODS: dict[str, Method] = {
    "RetrieveServiceContent": _content,
    "Login": _login,
    "Logout": _logout,
    "CurrentTime": _current_time,
    "CreateContainerView": _create_view,
    "DestroyView": _forget,
    "CreatePropertyCollector": _create_collector,
    "DestroyPropertyCollector": _destroy_collector,
    "CreateFilter": _create_filter,
    "DestroyPropertyFilter": _destroy_filter,
    "RetrieveProperties": _retrieve_old,
    "RetrievePropertiesEx": _retrieve,
    "ContinueRetrievePropertiesEx": _continue,
    "CancelRetrievePropertiesEx": _cancel_retrieve,
    "WaitForUpdatesEx": _wait_ex,
    "WaitForUpdates": _wait_old,
    "CheckForUpdates": _wait_old,
    "CancelWaitForUpdates": _cancel_wait,
    "Fetch": _fetch,
    **VM_METHODS,
    **HOST_METHODS,
    **OVF_METHODS,
    **MANAGER_METHODS,
    **MORE_METHODS,
    **SEARCH_METHODS,
    **STORE_METHODS,
    **HISTORY_METHODS,
    **INVENTORY_METHODS,
    **ACCESS_METHODS,
}
