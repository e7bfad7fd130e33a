"""SOAP faults of WinRM: read from both forms Windows uses, translated into ``errors`` by code, never by words.

Also the return values of Hyper-V's methods, which are not faults. Pure; any thread.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

from hvconsole import errors
from hvconsole.backends.wmi_xml import local_name

ACCESS_DENIED = 5
NOT_FOUND = 0x80338000
BAD_FILTER = 0x8033801A
TIMED_OUT = 0x80338029
BAD_URI = 0x8033803B
ENVELOPE_TOO_LARGE = 0x80338048
SERVER_ENVELOPE_LIMIT = 0x80338049
QUOTA_OPERATIONS = 0x803381A6
QUOTA_USER = 0x803381A5
WMI_NOT_FOUND = 0x80041002
WMI_ACCESS_DENIED = 0x80041003
WMI_INVALID_CLASS = 0x80041010
WMI_INVALID_QUERY = 0x80041017
WMI_INVALID_NAMESPACE = 0x8004100E
WMI_QUOTA = 0x8004106C
_MISSING = frozenset(
    {BAD_FILTER, BAD_URI, WMI_INVALID_CLASS, WMI_INVALID_NAMESPACE, WMI_INVALID_QUERY, 2150859003, 0x803381BB}
)
_GONE = frozenset({NOT_FOUND, WMI_NOT_FOUND, 0x80338030})
_DENIED = frozenset({ACCESS_DENIED, 0x80070005, WMI_ACCESS_DENIED, 0x80338104})
_QUOTA = frozenset({QUOTA_OPERATIONS, QUOTA_USER, WMI_QUOTA, 0x803381A4, 0x803381A7})
_TOO_LARGE = frozenset({ENVELOPE_TOO_LARGE, SERVER_ENVELOPE_LIMIT, 0x803381A1})


@dataclass(frozen=True, slots=True)
class Fault:
    """What a fault says. ``code`` is WSMan's or WMI's number, 0 where none is given; ``text`` is hostile."""

    code: int
    subcode: str
    text: str

    @property
    def missing(self) -> bool:
        """The class, namespace or column does not exist on this host."""
        return self.code in _MISSING

    @property
    def gone(self) -> bool:
        """The instance does not exist (any more)."""
        return self.code in _GONE

    @property
    def denied(self) -> bool:
        """The user lacks a right."""
        return self.code in _DENIED or self.subcode == "AccessDenied"

    @property
    def too_large(self) -> bool:
        """The answer did not fit into an envelope: ask for less."""
        return self.code in _TOO_LARGE or self.subcode == "EncodingLimit"

    @property
    def quota(self) -> bool:
        """Too many operations of this user are open."""
        return self.code in _QUOTA or self.subcode == "QuotaLimit"

    @property
    def timed_out(self) -> bool:
        """The operation went on for too long; what it did is not known."""
        return self.code == TIMED_OUT or self.subcode == "TimedOut"


class FaultError(errors.Refused):
    """A fault on its way out. Code that knows a way around looks at ``fault``; for others it is what it is."""

    def __init__(self, fault: Fault, user_text: str = "") -> None:
        shown = f"0x{fault.code:08X}" if fault.code > 0xFFFF else str(fault.code)
        super().__init__(user_text or "The host refused the request.", fault.text, code=shown)
        self.fault = fault


def read(body: ET.Element) -> Fault | None:
    """The fault inside a SOAP body, or None. Reads ``f:WSManFault`` and ``MSFT_WmiError``, innermost text first."""
    fault = next((child for child in body if local_name(child.tag) == "Fault"), None)
    if fault is None:
        return None
    subcode, reason, detail = "", "", None
    for part in fault:
        name = local_name(part.tag)
        if name == "Code":
            subcode = _last_value(part)
        elif name == "Reason":
            reason = _clean("".join(part.itertext()))
        elif name == "Detail":
            detail = part
    code, text = _detail(detail) if detail is not None else (0, "")
    return Fault(code, subcode.rpartition(":")[2], text or reason)


def _last_value(code: ET.Element) -> str:
    values = [(item.text or "").strip() for item in code.iter() if local_name(item.tag) == "Value"]
    return values[-1] if len(values) > 1 else ""


def _detail(detail: ET.Element) -> tuple[int, str]:
    code, outer_code, texts = 0, 0, []
    for item in detail.iter():
        name = local_name(item.tag)
        if name == "WSManFault":
            outer_code = outer_code or _number(item.get("Code"))
        elif name == "error_Code":
            code = code or _number(item.text)
        elif name == "MessageID" and (item.text or "").strip().upper().startswith("HRESULT"):
            code = code or _number((item.text or "").split()[-1])
        elif name == "HRESULT" and not code:
            code = _number(item.text)
        if name in ("Message", "ProviderFault", "Description") and (item.text or "").strip():
            texts.append(_clean(item.text or ""))
    # WSMan's own number is the better known one; a provider's number only where it has none.
    return outer_code or code, texts[-1] if texts else ""


def _number(text: str | None) -> int:
    try:
        value = int((text or "").strip(), 0)
    except ValueError:
        return 0
    return value & 0xFFFFFFFF


def _clean(text: str) -> str:
    return " ".join(text.split())[:2000]


def translate(fault: Fault, doing: str) -> errors.HvError:
    """The error for a fault. ``doing``: what was asked, as "deleting the checkpoint"."""
    shown = f"0x{fault.code:08X}" if fault.code > 0xFFFF else str(fault.code)
    if fault.denied:
        return errors.PermissionDenied(
            "This user may not do that on the host: Hyper-V Administrators and Remote Management Users may.",
            fault.text,
            code=shown,
        )
    if fault.gone:
        return errors.NotFound("The object doesn't exist on the host any more.", fault.text, code=shown)
    if fault.quota:
        return errors.Busy("The host has too many open operations of this user.", fault.text, code=shown)
    if fault.timed_out:
        return errors.OutcomeUnknown(f"The host gave no result in time ({doing}); it may still be at it.", fault.text)
    return FaultError(fault, f"The host refused the request ({doing}).")


OK = 0
JOB_STARTED = 4096
INVALID_STATE = 32775

_RETURN_VALUES: Mapping[int, tuple[type[errors.OperationError], str]] = {
    1: (errors.NotSupported, "The host doesn't support that."),
    32768: (errors.Refused, "The host reports that it failed."),
    32769: (errors.PermissionDenied, "This user may not do that on the host."),
    32770: (errors.NotSupported, "The host doesn't support that for this VM."),
    32771: (errors.Refused, "The host doesn't know how it ended."),
    32772: (errors.Refused, "The host gave up waiting."),
    32773: (errors.InvalidInput, "The host doesn't accept one of the values."),
    32774: (errors.Busy, "The VM, or a file of it, is in use."),
    32775: (errors.BadPowerState, "That isn't possible in the VM's present state."),
    32776: (errors.InvalidInput, "The host doesn't accept the type of one of the values."),
    32777: (errors.ToolsMissing, "The guest can't be reached: its integration services don't answer."),
    32778: (errors.NoSpace, "The host has not enough memory."),
    32779: (errors.NotFound, "The host can't find a file that is needed."),
    32780: (errors.ToolsMissing, "The guest isn't ready to be asked."),
    32781: (errors.Busy, "The guest is locked and can't be shut down without force."),
    32782: (errors.Busy, "The guest is already shutting down."),
}


def check_return(value: int, detail: str = "", special: Mapping[int, errors.OperationError] | None = None) -> None:
    """Raise the error for a method's return value, unless it is 0 or 4096.

    ``special``: values that mean something else for this method.
    """
    if value in (OK, JOB_STARTED):
        return
    if special and value in special:
        raise special[value]
    kind, text = _RETURN_VALUES.get(value, (errors.Refused, "The host refused the request."))
    raise kind(text, detail or f"return value {value}", code=str(value))
