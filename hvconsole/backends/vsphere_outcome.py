"""What became of a request whose answer was lost: looked for by name, once, and said in the error. Verb threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from hvconsole.backends.vsphere_names import shown_name
from hvconsole.backends.vsphere_places import list_kind
from hvconsole.backends.vsphere_records import Reader, text
from hvconsole.backends.vsphere_session import Session
from hvconsole.errors import HvError, OutcomeUnknown
from hvconsole.text import safe_text

_NAMES: Mapping[str, Mapping[str, Reader]] = {"VirtualMachine": {"name": text}}


@contextlib.contextmanager
def looked_for(name: str, kind: str, look: Callable[[], bool | None]) -> Iterator[None]:
    """Around a request: when its answer is lost, ``look`` and say what there is. It is still ``OutcomeUnknown``.

    ``kind``: what is made, in words. ``look`` answers True when it is there, False when not, None while the server is
    at it; where it fails, nothing more is said.
    """
    try:
        yield
    except OutcomeUnknown as exc:
        try:
            there = look()
        except HvError:
            raise exc from None
        what = f"{kind} “{safe_text(name, 80)}”"
        if there:
            words = f"The server's answer was lost, but it was done: the {what} is there."
        elif there is None:
            words = f"The server's answer was lost, but it is at work: the {what} is being made."
        else:
            words = (
                f"The server's answer was lost, and there is no {what} so far. It may have happened all the same: "
                "look again before repeating it."
            )
        raise OutcomeUnknown(words, exc.detail or exc.user_text) from exc


def vm_exists(session: Session, name: str) -> bool:
    """Whether the server has a VM of that name."""
    return any(shown_name(vm.get("name", "")) == name for vm in list_kind(session, "VirtualMachine", _NAMES))
