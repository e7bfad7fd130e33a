"""Who owns which address in the lab: guests' cards, hosts, gateways.

Belongs to a ``World``: used only while ``world.lock`` is held.
"""

from __future__ import annotations

import ipaddress

from hvconsole.lab.objects import Host, Nic, Vm


def normal(address: str) -> str:
    """One spelling per address; text that is no address comes back unchanged."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


class AddressBook:
    """Address → owner, kept up to date by ``World.add``, ``changed`` and ``remove``."""

    def __init__(self) -> None:
        self._owners: dict[str, tuple[Vm, Nic] | Host] = {}
        self._held: dict[str, tuple[str, ...]] = {}
        self._gateways: set[str] = set()

    def update(self, owner: Vm | Host) -> None:
        """Enter the addresses that ``owner`` has now, forget those it had before."""
        if isinstance(owner, Vm):
            if owner.is_template:
                return
            spelled = tuple(address for nic in owner.nics for address in nic.addresses)
            spelled += tuple(owner.extra.get("loose_addresses", ()))
        else:
            spelled = (owner.address,) if owner.address else ()
            self._gateways.update(normal(nic.gateway) for nic in owner.nics if nic.gateway)
        if self._held.get(owner.id) == spelled and not self._replaced(owner):
            return
        self.forget(owner)
        self._held[owner.id] = spelled
        if isinstance(owner, Host):
            if owner.address:
                self._owners[normal(owner.address)] = owner
            return
        for nic in owner.nics:
            for address in nic.addresses:
                self._owners.setdefault(normal(address), (owner, nic))
        first = owner.nics[0] if owner.nics else Nic(id="", device="", mac="", network_id=None)
        for address in owner.extra.get("loose_addresses", ()):
            self._owners.setdefault(normal(address), (owner, first))

    def _replaced(self, owner: Vm | Host) -> bool:
        """True if the cards are other objects than those entered (after a revert)."""
        if isinstance(owner, Host):
            return False
        for nic in owner.nics:
            for address in nic.addresses:
                entry = self._owners.get(normal(address))
                if isinstance(entry, tuple) and entry[0] is owner and entry[1] is not nic:
                    return True
        return False

    def forget(self, owner: Vm | Host) -> None:
        """Forget all addresses of ``owner``."""
        for address in self._held.pop(owner.id, ()):
            entry = self._owners.get(normal(address))
            if entry is owner or (isinstance(entry, tuple) and entry[0] is owner):
                del self._owners[normal(address)]

    def owner(self, address: str) -> tuple[Vm, Nic] | Host | None:
        """The guest's card or the host with that address, or None."""
        return self._owners.get(address) or self._owners.get(normal(address))

    def is_gateway(self, address: str) -> bool:
        """Whether a host names this address as its gateway."""
        return normal(address) in self._gateways
