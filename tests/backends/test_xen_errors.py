"""Error codes of every age become errors of ours, each with one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole import errors
from hvconsole.backends.xen_errors import _OPERATION, is_expired, translate_failure


@pytest.mark.parametrize(
    ("details", "kind", "words"),
    [
        (["VM_BAD_POWER_STATE", "ref", "halted", "running"], errors.BadPowerState, "running"),
        (["OTHER_OPERATION_IN_PROGRESS", "VM", "ref"], errors.Busy, "in progress"),
        (["OTHER_OPERATION_IN_PROGRESS", "VM", "ref", "{clone,copy}", "task"], errors.Busy, "in progress"),
        (["HANDLE_INVALID", "VM", "ref"], errors.NotFound, "exist"),
        (["UUID_INVALID", "VM", "ref"], errors.NotFound, "exist"),
        (["VM_LACKS_FEATURE", "ref"], errors.ToolsMissing, "Tools"),
        (["VM_LACKS_FEATURE_SUSPEND", "ref"], errors.ToolsMissing, "Tools"),
        (["VM_MISSING_PV_DRIVERS", "ref"], errors.ToolsMissing, "Tools"),
        (["SR_FULL", "1", "2"], errors.NoSpace, "full"),
        (["SR_BACKEND_FAILURE_46", "", "The VDI is not available", ""], errors.Refused, "storage"),
        (["SR_BACKEND_FAILURE_44", "", "", ""], errors.NoSpace, "full"),
        (["OUT_OF_SPACE", "/var/log"], errors.NoSpace, "space"),
        (["SR_SUSPEND_SPACE_INSUFFICIENT", "ref"], errors.NoSpace, "suspend"),
        (["VM_REQUIRES_NETWORK", "vm", "net"], errors.HostUnavailable, "no access to a network"),
        (["HOST_NOT_ENOUGH_PCPUS", "16", "8"], errors.HostUnavailable, "8 against 16"),
        (["HOST_DISABLED_UNTIL_REBOOT", "ref"], errors.HostUnavailable, "restart"),
        (["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"], errors.Refused, "availability"),
        (["HA_HOST_IS_ARMED", "ref"], errors.Refused, "availability"),
        (["VM_IS_PART_OF_AN_APPLIANCE", "vm", "app"], errors.Refused, "appliance"),
        (["VM_HAS_SRIOV_VIF", "vm"], errors.Refused, "SR-IOV"),
        (["VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", "3", "2"], errors.InvalidInput, "multiple of 2"),
        (["VM_HOST_INCOMPATIBLE_VERSION_MIGRATE", "h", "vm"], errors.HostUnavailable, "older"),
        (["VDI_MISSING", "sr", "vdi"], errors.NotFound, "disk"),
        (["SUSPEND_IMAGE_NOT_ACCESSIBLE", "vdi"], errors.NotFound, "suspended"),
        (["APPLY_UPDATES_IN_PROGRESS"], errors.Busy, "updates"),
        (["XEN_VSS_REQ_ERROR_START_SNAPSHOT_SET_FAILED", "vm", "0x8"], errors.Refused, "quiesced"),
        (["SR_NOT_ATTACHED", "sr"], errors.HostUnavailable, "storage"),
        (["SR_BACKEND_FAILURE_109", "", "The snapshot chain is too long", ""], errors.NoSpace, "delete snapshots"),
        (["HOST_NOT_ENOUGH_FREE_MEMORY", "2147483648", "1073741824"], errors.NoSpace, "2.0 GiB needed"),
        (["HOST_NOT_ENOUGH_FREE_MEMORY"], errors.NoSpace, "memory"),
        (["NO_HOSTS_AVAILABLE"], errors.HostUnavailable, "host"),
        (["LICENCE_RESTRICTION", "x"], errors.Refused, "licence"),
        (["MESSAGE_REMOVED"], errors.NotSupported, "any more"),
        (["VM_SNAPSHOT_WITH_QUIESCE_TIMEOUT", "ref"], errors.Refused, "quiesced"),
        (["VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", "ref", "x"], errors.NotSupported, "quiesced"),
        (["RBAC_PERMISSION_DENIED", "vm.start", "no"], errors.PermissionDenied, "role"),
        (["TASK_CANCELLED", "ref"], errors.TaskCancelled, "Cancelled"),
        (["A_CODE_OF_TOMORROW", "x"], errors.Refused, "a code of tomorrow"),
        (["SESSION_INVALID", "x"], errors.SessionLost, "session"),
    ],
)
def test_codes(details: list[str], kind: type[errors.HvError], words: str) -> None:
    error = translate_failure(details)
    assert type(error) is kind
    assert words in error.user_text
    assert details[0] in error.detail


def test_every_sentence_works_with_any_number_of_parameters() -> None:
    for code in _OPERATION:
        for count in range(5):
            error = translate_failure([code, *["text"] * count])
            assert error.user_text.endswith(".")
            assert "{" not in error.user_text


def test_hostile_words_are_shown_safely_and_kept_short() -> None:
    error = translate_failure(["VM_BAD_POWER_STATE", "ref", "\x1b[31m" + "x" * 10_000, "‮"])
    assert error.user_text.isprintable()
    assert len(error.user_text) < 400
    assert len(error.detail) < 4000


@given(st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda i: st.lists(i, max_size=3), max_leaves=6))
def test_any_shape(details: Any) -> None:
    assert isinstance(translate_failure(details), errors.HvError)
    assert isinstance(is_expired(details), bool)
