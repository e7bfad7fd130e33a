"""Sessions of others, roles and privileges, advanced settings. Any thread."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from hvconsole.lab.vsphere.access import PRIVILEGES, options_of
from hvconsole.lab.vsphere.faults import SoapFault
from hvconsole.lab.vsphere.soap import Call, reference
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.vsphere.values import Data, array, field

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service


def _is_active(service: Service, call: Call, session: Session) -> str:
    found = service.sessions.shown(call.text("sessionID"))
    return field("returnval", found is not None and found.user == call.text("userName"))


def _terminate(service: Service, call: Call, session: Session) -> str:
    for one in call.all("sessionId"):
        found = service.sessions.shown(one.text or "")
        if found is None:
            raise SoapFault("NotFound", "The session is not there.")
        if found is session:
            raise SoapFault("InvalidArgument", "A session can't end itself.", invalidProperty="sessionId")
        service.sessions.end(found)
    service.world.poke()
    return ""


def _clone_ticket(service: Service, call: Call, session: Session) -> str:
    ticket = f"cst-VCT-{secrets.token_hex(16)}--tp-{service.site.id[:8]}"
    service.sessions.tickets[ticket] = session.user
    return field("returnval", ticket)


def _clone_session(service: Service, call: Call, session: Session) -> str:
    user = service.sessions.tickets.pop(call.text("cloneTicket"), None)
    if user is None:
        raise SoapFault("InvalidLogin", "The ticket is not valid.")
    opened = service.sessions.new(user)
    call.element.set("session", opened.key)  # the server makes the cookie of it
    with service.world.lock:
        return field("returnval", service.managers.session(opened))


def _say(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        service.site.extra["message"] = call.text("message")
    return ""


def _granted(service: Service, privilege: str) -> bool:
    return privilege not in service.site.extra.get("denied_privileges", ())


def _on_entity(service: Service, call: Call, session: Session) -> str:
    return field("returnval", array("boolean", (_granted(service, one.text or "") for one in call.all("privId"))))


def _on_entities(service: Service, call: Call, session: Session) -> str:
    asked = [one.text or "" for one in call.all("privId")]
    entities = [ref for name in ("entity", "entities") for one in call.all(name) if (ref := reference(one)) is not None]
    return field(
        "returnval",
        array(
            "EntityPrivilege",
            (
                Data(
                    "EntityPrivilege",
                    entity=ref,
                    privAvailability=array(
                        "PrivilegeAvailability",
                        (
                            Data("PrivilegeAvailability", privId=name, isGranted=_granted(service, name))
                            for name in asked
                        ),
                    ),
                )
                for ref in entities
            ),
        ),
    )


def _fetch_privileges(service: Service, call: Call, session: Session) -> str:
    entities = [ref for one in call.all("entities") if (ref := reference(one)) is not None]
    own = [name for name in PRIVILEGES if _granted(service, name)]
    return field(
        "returnval",
        array(
            "UserPrivilegeResult",
            (Data("UserPrivilegeResult", entity=ref, privileges=array("string", own)) for ref in entities),
        ),
    )


def _permissions(service: Service, call: Call, session: Session) -> str:
    return field(
        "returnval",
        array(
            "Permission",
            (
                Data(
                    "Permission",
                    entity=service.tree.root,
                    principal=service.site.user,
                    group=False,
                    roleId=-1,
                    propagate=True,
                ),
            ),
        ),
    )


def _query_options(service: Service, call: Call, session: Session) -> str:
    wanted = call.text("name")
    found = [
        one
        for one in options_of(service.site, call.this.id)
        if not wanted or one.fields["key"] == wanted or (wanted.endswith(".") and one.fields["key"].startswith(wanted))
    ]
    if wanted and not found:
        raise SoapFault("InvalidName", "A specified parameter was not correct: name", name=wanted)
    return field("returnval", array("OptionValue", found))


def _update_options(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        kept = service.site.extra.setdefault("options", {}).setdefault(call.this.id, {})
        for one in call.all("changedValue"):
            key = one.findtext("{urn:vim25}key") or ""
            kept[key] = one.findtext("{urn:vim25}value") or ""
    return ""


ACCESS_METHODS: dict[str, Method] = {
    "SessionIsActive": _is_active,
    "TerminateSession": _terminate,
    "AcquireCloneTicket": _clone_ticket,
    "CloneSession": _clone_session,
    "UpdateServiceMessage": _say,
    "SetLocale": lambda service, call, session: "",
    "HasPrivilegeOnEntity": _on_entity,
    "HasPrivilegeOnEntities": _on_entities,
    "HasUserPrivilegeOnEntities": _on_entities,
    "FetchUserPrivilegeOnEntities": _fetch_privileges,
    "RetrieveEntityPermissions": _permissions,
    "RetrieveAllPermissions": _permissions,
    "RetrieveRolePermissions": _permissions,
    "QueryOptions": _query_options,
    "UpdateOptions": _update_options,
}
