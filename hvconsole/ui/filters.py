"""Which VMs a search shows. Pure functions on the model; any thread.

Nothing is hidden unless the user asked for it: halted VMs are shown by default, templates only on demand.
"""

from __future__ import annotations

from dataclasses import dataclass

from hvconsole.model import Host, Inventory, ObjectId, Pool, PowerState, ServerId, Vm, VmKind
from hvconsole.ui.interfaces import Item, ItemKind

ID_WORD = 8
"""Characters a word needs to be looked for in UUIDs and MAC addresses too: short ones occur there by chance."""
_LONGEST_DESCRIPTION = 2000
"""Characters of a description that are searched: servers may send 100,000 per VM."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What to show. Empty sets mean "all"."""

    text: str = ""
    """Words that must all occur in name, address, tag or description, longer ones also in UUID or MAC address; case
    does not matter."""
    hosts: frozenset[tuple[ServerId, ObjectId]] = frozenset()
    powers: frozenset[PowerState] = frozenset()
    templates: bool = False

    @property
    def narrows(self) -> bool:
        """Whether any VM could be hidden by it."""
        return bool(self.words or self.hosts or self.powers)

    @property
    def words(self) -> tuple[str, ...]:
        """The words to look for, folded."""
        return tuple(self.text.casefold().split())


class Searcher:
    """Answers "does it match" fast by remembering each VM's text for as long as that very ``Vm`` object is current."""

    def __init__(self) -> None:
        self.texts: dict[Item, tuple[Vm, str, str]] = {}
        """Item → the VM, its words and its ids, folded. Owners drop items that are gone."""

    def remember(self, item: Item, vm: Vm) -> tuple[Vm, str, str]:
        """Everything that is searched of a VM, folded, one piece per line; kept for the next time."""
        words = "\n".join((vm.name, vm.description[:_LONGEST_DESCRIPTION], *vm.tags, *vm.addresses))
        ids = "\n".join((vm.uuid, *(nic.mac for nic in vm.nics)))
        self.texts[item] = known = (vm, words.casefold(), ids.casefold())
        return known

    def has(self, item: Item, vm: Vm, words: tuple[str, ...]) -> bool:
        """Whether all words occur in what is searched of the VM."""
        known = self.texts.get(item)
        if known is None or known[0] is not vm:
            known = self.remember(item, vm)
        text = known[1]
        for word in words:
            if word not in text and not (len(word) >= ID_WORD and word in known[2]):
                return False
        return True

    def matches(self, server_id: ServerId, vm: Vm, wanted: Filter, words: tuple[str, ...]) -> bool:
        """Whether the VM is shown; ``words`` are ``wanted.words``, computed once by the caller."""
        if not permits(server_id, vm, wanted):
            return False
        return not words or self.has(Item(ItemKind.VM, server_id, vm.id), vm, words)


def permits(server_id: ServerId, vm: Vm, wanted: Filter) -> bool:
    """Whether power state and host are among those wanted; words not considered."""
    if wanted.powers and vm.power not in wanted.powers:
        return False
    return not wanted.hosts or (server_id, vm.host_id or vm.home_id) in wanted.hosts


def listed(vm: Vm, wanted: Filter) -> bool:
    """Whether this kind of VM belongs into tree and tables at all: control domains never, templates if asked for."""
    if vm.kind is VmKind.VM:
        return True
    return wanted.templates and vm.kind is VmKind.TEMPLATE


def container_matches(found: Host | Pool | str, words: tuple[str, ...]) -> bool:
    """Whether a host, pool or server name is itself what the user looks for; then all below it is shown."""
    if not words:
        return False
    if isinstance(found, str):
        text = found
    elif isinstance(found, Host):
        text = f"{found.name}\n{found.address}"
    else:
        text = found.name
    text = text.casefold()
    return all(word in text for word in words)


def matching_vms(server_id: ServerId, inventory: Inventory, wanted: Filter, searcher: Searcher) -> tuple[Vm, ...]:
    """The VMs of one server that a table shows, in the inventory's order."""
    words = wanted.words
    return tuple(
        vm for vm in inventory.vms.values() if listed(vm, wanted) and searcher.matches(server_id, vm, wanted, words)
    )
