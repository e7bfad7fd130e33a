"""Custom attributes: fields that administrators add to objects. The caller holds ``world.lock``."""

from __future__ import annotations

from hvconsole.lab.objects import Site
from hvconsole.lab.vsphere.tree import Tree
from hvconsole.lab.vsphere.values import Array, Data, array


def definitions(site: Site) -> list[Data]:
    """Every field that there is."""
    known: dict[int, str] = site.extra.get("custom_fields", {})
    return [Data("CustomFieldDef", key=key, name=name, type="string") for key, name in known.items()]


def values(site: Site, moid: str) -> Array:
    """The fields of one object that were filled in."""
    own: dict[int, str] = site.extra.get("custom_values", {}).get(moid, {})
    return array("CustomFieldValue", (Data("CustomFieldStringValue", key=key, value=text) for key, text in own.items()))


def keep(tree: Tree, moid: str, key: int, text: str) -> None:
    """Fill in a field; an empty text empties it."""
    own = tree.site.extra.setdefault("custom_values", {}).setdefault(moid, {})
    if text:
        own[key] = text
    else:
        own.pop(key, None)
    world = tree.world
    for table in (world.vms, world.hosts, world.storages, world.networks, world.groups):
        if moid in table:
            world.changed(table[moid])
