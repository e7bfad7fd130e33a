"""``hvconsole lab``: the built-in data centre alone, for scripts and other clients, until it is told to stop."""

from __future__ import annotations

import argparse
from pathlib import Path

from hvconsole.cli.output import DONE, FAILED, Printer, UsageError
from hvconsole.signals import until_signalled

MOST_VMS = 100_000


def parser() -> argparse.ArgumentParser:
    """Arguments of ``hvconsole lab``."""
    made = argparse.ArgumentParser(
        prog="hvconsole lab",
        description="Run a simulated data centre on this computer. Prints one JSON line that says how to reach it, "
        "then runs until Ctrl-C.",
    )
    made.add_argument("--xapi-db", metavar="FILE", type=Path, help="serve the database dump of a real XenServer pool")
    made.add_argument("--vms", metavar="N", type=int, help="a pool of N VMs instead of the usual estate")
    made.add_argument("--quick", action="store_true", help="let nothing take time (starting, snapshots, migrating …)")
    made.add_argument(
        "--allow-unencrypted",
        action="store_true",
        help="Hyper-V hosts take Basic logins and clear text over http, as Windows does after "
        "AllowUnencrypted=true (libvirt, virt-who)",
    )
    made.add_argument("-v", "--verbose", action="store_true", help="log to stderr what is done")
    return made


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    from hvconsole.lab import Lab  # only this command needs the simulator
    from hvconsole.lab.hyperv import HypervServer
    from hvconsole.lab.tasks import Timing

    if arguments.xapi_db is not None and arguments.vms is not None:
        raise UsageError("--xapi-db and --vms are alternatives.")
    if arguments.vms is not None and not 1 <= arguments.vms <= MOST_VMS:
        raise UsageError(f"--vms takes a number from 1 to {MOST_VMS}.")
    printer = Printer()
    timing = Timing() if arguments.quick else Timing.demo()
    with until_signalled() as stop:
        try:
            if arguments.xapi_db is not None:
                lab = Lab.from_xapi_db(arguments.xapi_db, timing=timing)
            elif arguments.vms is not None:
                lab = Lab.scaled(arguments.vms, timing=timing)
            else:
                lab = Lab(timing=timing)
            lab.start()
            for server in lab.site_servers if arguments.allow_unencrypted else ():
                if isinstance(server, HypervServer):
                    server.allow_unencrypted = True
        except (OSError, ValueError) as exc:
            printer.error(f"The lab can't be started: {exc}")
            return FAILED
        with lab:
            printer.json(lab.describe())
            stop.wait()
    return DONE
