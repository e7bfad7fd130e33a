"""One pool served by the lab: world, database, sessions, members and what each member believes about its master.

Any thread; the state of members is guarded by ``world.lock``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hvconsole.lab import errors
from hvconsole.lab.objects import Host, HostState, Site, Snapshot, Vm
from hvconsole.lab.world import Change, World
from hvconsole.lab.xapi import lifecycle, refs
from hvconsole.lab.xapi.database import Database
from hvconsole.lab.xapi.failures import Failure, from_world
from hvconsole.lab.xapi.messages import Chronicle
from hvconsole.lab.xapi.projector import Projector
from hvconsole.lab.xapi.sessions import Session, Sessions
from hvconsole.lab.xapi.values import NULL


@dataclass(slots=True)
class Member:
    """A host as a server: ``master_id`` is who it believes to be the master (itself included)."""

    host_id: str
    address: str
    port: int
    master_id: str


def _nothing() -> None:
    """Before there is anything to stop."""


class Pool:
    """Everything that calls work on."""

    def __init__(self, world: World, site: Site) -> None:
        self.world = world
        self.site = site
        self.db = Database(world.lock)
        self.sessions = Sessions(self.new_ref, self._wake)
        self.ref = site.extra.get("pool_ref") or refs.ref_of_id(site.id)
        self.projector = Projector(world, site, self.db, self.ref)
        self.chronicle = Chronicle(world, site, self.db)
        self.members: dict[str, Member] = {}
        self.emergency_cause: tuple[str, ...] = ("HOST_STILL_BOOTING",)
        """What members in emergency mode answer to everything that is not an emergency call."""
        self.certificate_pem = ""
        """What every member presents."""
        self.stopping = False
        self._up: dict[str, bool] = {}
        self._stop_listening: Callable[[], None] = _nothing

    # ---- life --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Fill the database and follow the world from now on."""
        with self.world.lock:
            self.db.filling = True
            for class_name, ref, fields in self.site.extra.pop("rows", ()):
                self.db.insert(class_name, ref, fields, complete=False)
            self.projector.load()
            self.chronicle.load()
            if self.site.extra.get("from_dump"):
                self._wake_up()
            self._add_roles()
            self.db.filling = False
            self._stop_listening = self.world.listen(self._follow)

    def _wake_up(self) -> None:
        """What xapi brings up to date in its database when it starts."""
        world = self.world
        for host in world.of_site(world.hosts.values(), self.site.id):
            self.db.update("host", refs.ref(host), {"address": host.address})
            metrics = refs.ref(host, "metrics")
            if self.db.find("host_metrics", metrics) is not None:
                self.db.update("host_metrics", metrics, {"live": host.state is HostState.UP})
        owners: list[Vm | Snapshot] = [
            *world.of_site(world.vms.values(), self.site.id),
            *world.of_site(world.snapshots.values(), self.site.id),
        ]
        for vm in owners:
            ref = refs.ref(vm)
            self.db.update("VM", ref, {"allowed_operations": lifecycle.allowed(vm, ref)})

    def close(self) -> None:
        """Wake everybody who waits and stop following the world."""
        self.stopping = True
        self._stop_listening()
        self.sessions.expire_all()

    def restart_toolstack(self) -> None:
        """What restarting xapi on the master does, or a new master: the pool's sessions and tasks are gone.

        Work under way goes on unseen; local sessions of members stay.
        """
        with self.world.lock:
            for task in list(self.world.tasks.values()):
                if task.site_id == self.site.id:
                    self.world.forget_task(task)
            for row in list(self.db.rows("session")):
                self.db.delete("session", row.ref)
        self.sessions.expire_all(local_too=False)

    def _follow(self, change: Change) -> None:
        self.projector.follow(change)
        self.chronicle.follow(change)
        if change.kind == "host":
            host = self.world.hosts.get(change.id)
            was_up = self._up.get(change.id, True)
            self._up[change.id] = host is not None and host.state is HostState.UP
            if host is not None and not was_up and host.state is HostState.UP:
                self._rejoin(host)
                if host.id == self.site.master_id:
                    self.restart_toolstack()

    def _rejoin(self, host: Host) -> None:
        """A host that comes back after another one took over follows the new master."""
        member = self.members.get(host.id)
        if member is not None and member.master_id == host.id and self.site.master_id not in (None, host.id):
            member.master_id = self.site.master_id or host.id

    def _wake(self) -> None:
        with self.world.lock:
            self.db.changed.notify_all()

    def _add_roles(self) -> None:
        for number, name in enumerate(
            ("pool-admin", "pool-operator", "vm-power-admin", "vm-admin", "vm-operator", "read-only")
        ):
            uuid = f"0165f154-ba3e-034e-6b27-5d271af10{number:03}"
            if not any(row.fields.get("name_label") == name for row in self.db.rows("role")):
                self.db.insert("role", f"OpaqueRef:{uuid}", {"uuid": uuid, "name_label": name})

    def new_ref(self) -> str:
        """A reference for a new object that only XenAPI knows."""
        return "OpaqueRef:" + self.world.new_id()

    # ---- members -----------------------------------------------------------------------------------------

    def member_host(self, member: Member) -> Host:
        """The host of a member."""
        return self.world.hosts[member.host_id]

    def master_member(self) -> Member | None:
        """The present master, if it is one of ours."""
        return self.members.get(self.site.master_id or "")

    def is_slave(self, member: Member) -> bool:
        """Whether the member believes that another host leads."""
        return member.master_id != member.host_id

    def master_address(self, member: Member) -> str:
        """The address of the host that the member believes to be the master."""
        master = self.members.get(member.master_id)
        return master.address if master is not None else ""

    def in_emergency(self, member: Member) -> bool:
        """A slave whose master is dead, or leads no longer."""
        if not self.is_slave(member):
            return False
        master = self.world.hosts.get(member.master_id)
        alive = master is not None and master.state is HostState.UP
        return not alive or member.master_id != self.site.master_id

    # ---- objects -----------------------------------------------------------------------------------------

    def ref_of(self, world_id: str) -> str:
        """The reference of a world object by id."""
        with self.world.lock:
            for table in (
                self.world.vms,
                self.world.snapshots,
                self.world.hosts,
                self.world.disks,
                self.world.storages,
                self.world.networks,
            ):
                obj = table.get(world_id)
                if obj is not None:
                    return refs.ref(obj)
        return refs.ref_of_id(world_id) if world_id else NULL

    def vm_or_snapshot(self, ref: str) -> Vm | Snapshot:
        """The VM or snapshot behind a VM reference; raises HANDLE_INVALID."""
        with self.world.lock:
            owner = self.projector.owner(ref) or ""
            found = self.world.vms.get(owner) or self.world.snapshots.get(owner)
            if found is None or refs.ref(found) != ref:
                raise Failure("HANDLE_INVALID", "VM", ref)
            return found

    def obj(self, table: dict[str, Any], class_name: str, ref: str) -> Any:
        """The world object of ``table`` behind a reference; raises HANDLE_INVALID."""
        with self.world.lock:
            found = table.get(self.projector.owner(ref) or "")
            if found is None:
                raise Failure("HANDLE_INVALID", class_name, ref)
            return found

    def host(self, ref: str) -> Host:
        """The host behind a reference; raises HANDLE_INVALID."""
        found: Host = self.obj(self.world.hosts, "host", ref)
        return found

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the world's refusals into failures."""
        try:
            yield
        except errors.WorldError as error:
            raise from_world(error, self.ref_of) from error

    def check_session(self, member: Member, ref: object) -> Session:
        """The session for a call on ``member``; raises SESSION_INVALID or HOST_IS_SLAVE."""
        session = self.sessions.find(ref) if isinstance(ref, str) else None
        if session is None or (session.local_to is not None and session.local_to != member.host_id):
            raise Failure("SESSION_INVALID", str(ref))
        if session.local_to is None and self.is_slave(member):
            raise Failure("HOST_IS_SLAVE", self.master_address(member))
        return session
