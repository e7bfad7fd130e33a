"""Pictures of a VM's screen. Question threads.

They come from ``/screen?id=<managed object id>`` of the server itself, a PNG (community.vmware.com and scripts of many
administrators; not in the API reference), with the cookie of the session. Not seen on a real server by us: a server
that has no such path, or wants other credentials, is told apart and the reason shown.
"""

from __future__ import annotations

from urllib.parse import quote

from hvconsole.backends.vsphere_power import vm_state
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.wire_calls import CallLimits
from hvconsole.errors import BadPowerState, BadReply, NotSupported, PermissionDenied, Refused
from hvconsole.model import ObjectId, PowerState

_LIMITS = CallLimits(total_s=30, stall_s=20, reply_bytes=8 << 20, elements=1)
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def screenshot(session: Session, vm_id: ObjectId) -> bytes:
    """PNG or JPEG. Raises ``BadPowerState`` for a VM that is off, ``NotSupported`` where there are no pictures."""
    if vm_state(session, vm_id).power is not PowerState.RUNNING:
        raise BadPowerState("The VM isn't running: its screen is dark.")
    headers = {"User-Agent": "hvconsole", "Accept": "image/png, image/jpeg"}
    if session.cookie.value:
        headers["Cookie"] = session.cookie.value
    picture = bytearray()
    with session.wire.call(_LIMITS):
        connection = session.wire.connection(session.host, session.port)
        try:
            reply = connection.exchange(
                "GET", f"/screen?id={quote(vm_id, safe='')}", headers=headers, sink=picture.extend
            )
        finally:
            connection.close()
    words = f"HTTP {reply.status} {reply.reason}"[:200]
    if reply.status in (401, 403):
        raise PermissionDenied("The server shows this user no pictures of the screen.", words)
    if reply.status in (404, 405, 501):
        raise NotSupported("This server has no pictures of screens.", words)
    if reply.status != 200:
        raise Refused("The server has no picture of the screen now.", words)
    if not picture.startswith(_PICTURES):
        raise BadReply("The server's picture of the screen can't be read.", words)
    return bytes(picture)
