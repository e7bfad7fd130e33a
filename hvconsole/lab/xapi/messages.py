"""The pool's own messages about what happens to VMs (VM_STARTED …), as xapi writes them.

Follows the world under ``world.lock``, after the projector.
"""

from __future__ import annotations

from hvconsole.lab.objects import Power, Site, Vm
from hvconsole.lab.world import Change, World
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.database import Database
from hvconsole.lab.xapi.values import date

_PRIORITY = 5
_MOST = 1_000

_WORDS: dict[tuple[Power, Power], tuple[str, str]] = {
    (Power.HALTED, Power.RUNNING): ("VM_STARTED", "started on host"),
    (Power.HALTED, Power.PAUSED): ("VM_STARTED", "started on host"),
    (Power.RUNNING, Power.HALTED): ("VM_SHUTDOWN", "shut down"),
    (Power.PAUSED, Power.HALTED): ("VM_SHUTDOWN", "shut down"),
    (Power.RUNNING, Power.SUSPENDED): ("VM_SUSPENDED", "suspended"),
    (Power.SUSPENDED, Power.RUNNING): ("VM_RESUMED", "resumed on host"),
    (Power.PAUSED, Power.RUNNING): ("VM_UNPAUSED", "unpaused"),
    (Power.RUNNING, Power.PAUSED): ("VM_PAUSED", "paused"),
}


class Chronicle:
    """Writes a message row for each change of a VM's power state, start or host."""

    def __init__(self, world: World, site: Site, database: Database) -> None:
        self._world = world
        self._site = site
        self._db = database
        self._known: dict[str, tuple[Power, int, str | None]] = {}

    def load(self) -> None:
        """Learn the present states."""
        for vm in self._world.of_site(self._world.vms.values(), self._site.id):
            self._known[vm.id] = (vm.power, vm.boots, vm.host_id)

    def follow(self, change: Change) -> None:
        """Listener for ``World.listen``."""
        if change.kind != "vm" or change.site_id != self._site.id:
            return
        vm = self._world.vms.get(change.id)
        if vm is None:
            self._known.pop(change.id, None)
            return
        now = (vm.power, vm.boots, vm.host_id)
        before = self._known.get(vm.id)
        self._known[vm.id] = now
        if before is None or before == now or vm.is_control_domain:
            return
        if before[0] != now[0]:
            found = _WORDS.get((before[0], now[0]))
            if found is not None:
                self._write(vm, *found)
        elif before[1] != now[1]:
            self._write(vm, "VM_REBOOTED", "rebooted on host")
        elif before[2] is not None and now[2] is not None:
            self._write(vm, "VM_MIGRATED", "migrated to host")

    def _write(self, vm: Vm, name: str, what: str) -> None:
        host = self._world.hosts.get(vm.host_id or "")
        where = f": {host.name} (uuid: {refs.uuid(host)})" if host is not None and what.endswith("host") else ""
        uuid = self._world.new_id()
        self._db.insert(
            "message",
            f"OpaqueRef:{uuid[::-1]}",
            {
                "uuid": uuid,
                "name": name,
                "priority": _PRIORITY,
                "cls": "VM",
                "obj_uuid": refs.uuid(vm),
                "timestamp": date(self._world.now()),
                "body": f"VM '{vm.name}' {what}{where}",
            },
        )
        rows = self._db.tables["message"].rows
        if len(rows) > _MOST:
            self._db.delete("message", next(iter(rows)))
