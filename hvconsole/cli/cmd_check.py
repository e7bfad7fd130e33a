"""``hvconsole check``: the connection doctor, step by step, stopping at the first failure with its remedy."""

from __future__ import annotations

import argparse

from hvconsole.backends.base import Step
from hvconsole.cli.output import DONE, FAILED, Printer, exit_code
from hvconsole.cli.session import Servers, add_server_options, resolve
from hvconsole.clock import SystemClock
from hvconsole.doctor import examine
from hvconsole.errors import CertificateError, HvError
from hvconsole.profiles import ServerProfile
from hvconsole.text import safe_text
from hvconsole.trust import format_fingerprint, validity_warning


def parser() -> argparse.ArgumentParser:
    """Arguments of ``hvconsole check``."""
    made = argparse.ArgumentParser(
        prog="hvconsole check", description="Find out why a server can't be used: name, port, certificate, login, role."
    )
    made.add_argument("servers", metavar="URL|PROFILE", nargs="+", help="xenserver://user@host, or a saved server")
    made.add_argument("--json", action="store_true", help="print one JSON object per step")
    add_server_options(made)
    return made


def run(arguments: argparse.Namespace) -> int:
    """Check each server in turn; the first failure decides the exit code."""
    printer = Printer()
    servers = resolve(arguments.servers, arguments)
    code = DONE
    for profile in servers.profiles:
        code = _check(printer, servers, profile, as_json=arguments.json) or code
    return code


def _check(printer: Printer, servers: Servers, profile: ServerProfile, *, as_json: bool) -> int:
    if not as_json:
        printer.line(f"{safe_text(profile.url)}")
    code = DONE
    for step in examine(profile, lambda: servers.secret(profile), servers.trust, servers.clock):
        if not step.ok:
            code = code or (FAILED if step.error is None else exit_code(step.error))
        if as_json:
            printer.json(_as_json(profile, step))
        else:
            _show(printer, step)
    return code


_SHOWN = {"dns": "DNS", "tcp": "TCP", "tls": "TLS"}


def _show(printer: Printer, step: Step) -> None:
    name = _SHOWN.get(step.name, safe_text(step.name, 20))
    printer.line(f"  {'ok    ' if step.ok else 'FAILED'}  {name:10}  {safe_text(step.text, 600)}")
    margin = " " * 22
    for line in _certificate_lines(step.error):
        printer.line(margin + line)
    if step.detail and step.detail != step.text:
        printer.line(f"{margin}({safe_text(step.detail, 600)})")
    if step.remedy:
        printer.line(f"{margin}→ {safe_text(step.remedy, 600)}")


def _certificate_lines(error: HvError | None) -> list[str]:
    if not isinstance(error, CertificateError):
        return []
    lines = []
    if error.pinned is not None:
        lines.append(f"expected:  SHA-256 {format_fingerprint(error.pinned.sha256)}")
    if error.presented is not None:
        lines.append(f"presented: SHA-256 {format_fingerprint(error.presented.sha256)}")
        warning = validity_warning(error.presented, SystemClock().now())
        if warning:
            lines.append(warning)
    return lines


def _as_json(profile: ServerProfile, step: Step) -> dict[str, object]:
    error = step.error
    presented = error.presented.sha256 if isinstance(error, CertificateError) and error.presented else None
    return {
        "server": profile.name,
        "step": step.name,
        "ok": step.ok,
        "text": step.text,
        "remedy": step.remedy or None,
        "detail": step.detail or None,
        "presented_sha256": presented,
    }
