"""What a vSphere server shows over plain HTTP: files of datastores under /folder. Any thread."""

from __future__ import annotations

import base64
import binascii
import hmac
import html
import urllib.parse
from typing import TYPE_CHECKING

from hvconsole.lab.vsphere import files

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Service

_TEXT = "text/plain; charset=utf-8"
_MOST = 8 << 20
"""Larger files have a length and no content: nobody downloads a disk of the lab that way."""


def password_given(service: Service, authorization: str) -> bool:
    """Whether a request brings the site's name and password."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, ValueError):
        return False
    site = service.site
    return user.lower() == site.user.lower() and hmac.compare_digest(password.encode(), site.password.encode())


def answer(service: Service, target: str) -> tuple[int, str, bytes]:
    """(status, type, body) for the path and query of a request."""
    parts = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(parts.query))
    path = urllib.parse.unquote(parts.path.removeprefix("/folder")).strip("/")
    tree = service.tree
    with service.world.lock:
        if "dsName" not in query:
            return 200, "text/html; charset=utf-8", _page("Datastores", [one.name for one in tree.storages()])
        found = files.find(tree, query["dsName"], path)
        if found is None:
            return 404, _TEXT, b"no such datastore"
        storage, file = found
        if file is None:
            known = files.listed(tree, storage)
            inside = [one.name for one in known if one.folder == path]
            below = [one.rpartition("/")[2] + "/" for one in files.folders(known, path)]
            if path and not inside and not below:
                return 404, _TEXT, b"no such file"
            return 200, "text/html; charset=utf-8", _page(f"[{storage.name}] {path}", [*below, *inside])
        if file.vm is not None:
            return 200, _TEXT, files.settings(tree, file.vm)
        return 200, "application/octet-stream", b"\0" * min(file.size, _MOST)


def _page(title: str, names: list[str]) -> bytes:
    rows = "".join(f'<tr><td><a href="{urllib.parse.quote(name)}">{html.escape(name)}</a></td></tr>' for name in names)
    return (
        f"<!DOCTYPE html><html><head><title>{html.escape(title)}</title></head><body><h1>Index of "
        f"{html.escape(title)}</h1><table>{rows}</table></body></html>"
    ).encode()
