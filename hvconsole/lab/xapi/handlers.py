"""xapi's HTTP handlers beside the RPC: who may use them and which one it is. Run in the connection's thread."""

from __future__ import annotations

import base64
import binascii
import hmac
import urllib.parse
from collections.abc import Mapping
from http import cookies
from typing import TYPE_CHECKING

from hvconsole.lab.xapi import pictures, rrd, rrd_archives, transfers
from hvconsole.lab.xapi.requests import HttpRefusal, Request

if TYPE_CHECKING:
    from hvconsole.lab.xapi.server import Conversation

_REALM = {"www-authenticate": 'Basic realm="XenServer"'}


def get(conversation: Conversation) -> None:
    """Answer a GET."""
    routes = {
        "/export": transfers.export,
        "/rrd_updates": rrd.updates,
        "/vm_rrd": rrd_archives.of_vm,
        "/host_rrd": rrd_archives.of_host,
        "/vncsnapshot": pictures.screenshot,
        "/console": pictures.console,
    }
    _route(conversation, routes)


def put(conversation: Conversation) -> None:
    """Answer a PUT."""
    _route(conversation, {"/import": transfers.import_})


def console(conversation: Conversation) -> None:
    """Answer a CONNECT."""
    _route(conversation, {"/console": pictures.console})


def _route(conversation: Conversation, routes: Mapping[str, transfers.Handler]) -> None:
    path, _, query = conversation.path.partition("?")
    if path in ("/", "") and conversation.command == "GET":
        conversation.page(200, "<html><body><h1>XCP-ng (lab)</h1></body></html>")
        return
    handler = next((routes[prefix] for prefix in routes if path == prefix or path.startswith(prefix + "/")), None)
    if handler is None:
        conversation.error(404)
        return
    parameters = {name: values[-1] for name, values in urllib.parse.parse_qs(query, keep_blank_values=True).items()}
    request = Request(conversation, conversation.site.pool, conversation.member, parameters)
    if not _authorised(request):
        conversation.error(401, _REALM)
        return
    try:
        handler(request)
    except HttpRefusal as refusal:
        conversation.error(refusal.status, refusal.headers)


def _authorised(request: Request) -> bool:
    """A session (query or cookie) that is alive anywhere in the pool, or HTTP Basic."""
    pool, headers = request.pool, request.conversation.headers
    jar: cookies.SimpleCookie = cookies.SimpleCookie()
    try:
        jar.load(headers.get("Cookie", ""))
    except cookies.CookieError:
        return False
    cookie = jar.get("session_id")
    ref = request.parameters.get("session_id") or (cookie.value if cookie is not None else "")
    if ref:
        return pool.sessions.find(ref) is not None
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    site = pool.site
    return user == site.user and hmac.compare_digest(password.encode(), site.password.encode())
