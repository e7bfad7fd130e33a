"""A new password for ``change-password``: typed twice, or from the environment. Main thread."""

from __future__ import annotations

import getpass
import os
import sys

from hvconsole.backends.base import Secret
from hvconsole.cli.output import UsageError, is_terminal

NEW_PASSWORD_VARIABLE = "HVCONSOLE_NEW_PASSWORD"


def new_password() -> Secret:
    """The new password. Raises ``UsageError`` where nobody can be asked or the two do not match."""
    given = os.environ.get(NEW_PASSWORD_VARIABLE)
    if given is not None:
        if not given:
            raise UsageError(f"{NEW_PASSWORD_VARIABLE} is empty.")
        return Secret(password=given)
    if not is_terminal(sys.stdin):
        raise UsageError(f"The new password isn't known. Without a terminal, set {NEW_PASSWORD_VARIABLE}.")
    first = getpass.getpass("New password: ", stream=sys.stderr)
    if not first or getpass.getpass("New password again: ", stream=sys.stderr) != first:
        raise UsageError("The new passwords don't match.")
    return Secret(password=first)
