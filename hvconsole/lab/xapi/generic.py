"""Messages that every class has: get_all, get_record, get_by_uuid, get_<field>, set_, add_to_, remove_from_…

Found by name from the schema; handlers run in the thread of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hvconsole.lab.xapi import query, schema
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.world_fields import write_field

if TYPE_CHECKING:
    from hvconsole.lab.xapi.dispatch import Call

NO_GET_ALL = frozenset({"session"})


@dataclass(frozen=True, slots=True)
class Generic:
    """A handler ``run(call, *params)`` with the words of its parameters."""

    run: Callable[..., Any]
    params: tuple[str, ...]


def messages() -> Iterator[str]:
    """The names of all generic messages."""
    for name, klass in schema.CLASSES.items():
        if name not in NO_GET_ALL:
            yield from (f"{name}.get_all", f"{name}.get_all_records", f"{name}.get_all_records_where")
        yield from (f"{name}.get_record", f"{name}.get_by_uuid")
        if "name_label" in klass.fields:
            yield f"{name}.get_by_name_label"
        for field in klass.fields.values():
            yield f"{name}.get_{field.name}"
            if field.writable:
                yield f"{name}.set_{field.name}"
                if field.type.kind == "map":
                    yield from (f"{name}.add_to_{field.name}", f"{name}.remove_from_{field.name}")
                elif field.type.kind == "set":
                    yield from (f"{name}.add_{field.name}", f"{name}.remove_{field.name}")


@cache
def find(message: str) -> Generic | None:
    """The handler of a generic message, or None."""
    class_name, _, verb = message.partition(".")
    klass = schema.CLASSES.get(class_name)
    if klass is None:
        return None
    return _of_class(class_name, verb) or _of_field(klass, verb)


def _of_class(name: str, verb: str) -> Generic | None:
    if verb in ("get_all", "get_all_records", "get_all_records_where") and name in NO_GET_ALL:
        return None
    match verb:
        case "get_all":
            return Generic(lambda call: _locked(call, lambda: [row.ref for row in call.pool.db.rows(name)]), ())
        case "get_all_records":
            return Generic(lambda call: _all_records(call, name), ())
        case "get_all_records_where":
            return Generic(lambda call, expression: _all_records(call, name, query.parse(expression)), ("s",))
        case "get_record":
            return Generic(lambda call, ref: _locked(call, lambda: call.pool.db.row(name, ref).record()), (name,))
        case "get_by_uuid":
            return Generic(lambda call, uuid: _by_uuid(call, name, uuid), ("s",))
        case "get_by_name_label" if "name_label" in schema.CLASSES[name].fields:
            return Generic(
                lambda call, label: _locked(
                    call, lambda: [row.ref for row in call.pool.db.rows(name) if row.fields.get("name_label") == label]
                ),
                ("s",),
            )
        case _:
            return None


def _locked(call: Call, read: Callable[[], Any]) -> Any:
    with call.pool.world.lock:
        return read()


def _all_records(call: Call, name: str, wanted: query.Filter | None = None) -> dict[str, Any]:
    with call.pool.world.lock:
        return {row.ref: row.record() for row in call.pool.db.rows(name) if wanted is None or wanted(row.fields)}


def _by_uuid(call: Call, name: str, uuid: str) -> str:
    with call.pool.world.lock:
        ref = call.pool.db.tables[name].by_uuid.get(uuid)
    if ref is None:
        raise Failure("UUID_INVALID", name, uuid)
    return ref


def _of_field(klass: schema.ClassSchema, verb: str) -> Generic | None:
    name = klass.name
    for prefix, kinds in (
        ("get_", None),
        ("set_", None),
        ("add_to_", "map"),
        ("remove_from_", "map"),
        ("add_", "set"),
        ("remove_", "set"),
    ):
        field = klass.fields.get(verb.removeprefix(prefix)) if verb.startswith(prefix) else None
        if field is None or (kinds is not None and field.type.kind != kinds):
            continue
        if prefix == "get_":
            return Generic(_getter(name, field.name), (name,))
        if field.writable:
            return _writer(name, field, prefix)
    return None


def _getter(class_name: str, field: str) -> Callable[..., Any]:
    def get(call: Call, ref: str) -> Any:
        with call.pool.world.lock:
            return call.pool.db.get(class_name, ref, field)

    return get


_WORDS = {"s": "s", "i": "i", "f": "f", "b": "b", "d": "d", "ref": "s", "set": "[]", "map": "{}"}


def _writer(class_name: str, field: schema.Field, prefix: str) -> Generic:
    def change(call: Call, ref: str, *values: Any) -> None:
        with call.pool.world.lock, call.pool.translated():
            before = call.pool.db.get(class_name, ref, field.name)
            after = _changed(call, class_name, ref, field.name, prefix, before, values)
            write_field(call.pool, class_name, ref, field.name, after)

    words = {
        "set_": (_WORDS[field.type.kind],),
        "add_to_": ("s", "s"),
        "remove_from_": ("s",),
        "add_": ("s",),
        "remove_": ("s",),
    }[prefix]
    return Generic(change, (class_name, *words))


def _changed(
    call: Call, class_name: str, ref: str, field: str, prefix: str, before: Any, values: tuple[Any, ...]
) -> Any:
    match prefix:
        case "set_":
            return values[0]
        case "add_to_":
            key, value = values
            if key in before:
                uuid = call.pool.db.get(class_name, ref, "uuid")
                raise Failure("MAP_DUPLICATE_KEY", class_name, field, uuid, key)
            return {**before, key: value}
        case "remove_from_":
            return {key: value for key, value in before.items() if key != values[0]}
        case "add_":
            return before if values[0] in before else [*before, values[0]]
        case _:
            return [value for value in before if value != values[0]]
