"""JSON schemas of the operations' types, as the OpenAPI document shows them.

The types of a body and of a payload are described where they stand; what is inside them, and is a
struct too, is a component. https://spec.openapis.org/oas/v3.1.1.html
"""

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Final, get_args

import msgspec

from bridge.api.server.fields import Json, Kind
from bridge.api.server.operation import Operation

REF: Final = "#/components/schemas/"


class Schemas:
    """The schemas of all types of some operations."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        """Describe the types."""
        operations = tuple(operations)
        sent = {
            part for one in operations for kind in (one.body, one.query) for part in _parts(kind)
        }
        answered = {
            part
            for one in operations
            for kind in (one.payload, one.gives, *one.also.values())
            for part in _parts(kind)
        }
        kinds = [*sent, *(answered - sent)]
        made, components = msgspec.json.schema_components(kinds, ref_template=REF + "{name}")
        read = _reachable(_references(list(made[: len(sent)])), components)
        enums = {REF + name: one for name, one in components.items() if "enum" in one}
        self._made = {kind: _clean(one, enums) for kind, one in zip(kinds, made, strict=True)}
        self._all = {
            name: _clean(one if name in read else _all_present(one), enums)
            for name, one in components.items()
        }
        self._used: set[str] = set()

    @property
    def components(self) -> dict[str, Any]:
        """The schemas that those asked for until now refer to."""
        names = _reachable(self._used, self._all)
        return {name: self._all[name] for name in sorted(names)}

    def of(self, kind: Kind) -> dict[str, Any]:
        """Return the schema of a type, itself described where it stands."""
        if len(parts := _parts(kind)) > 1:
            schemas = [self._made[part] for part in parts]
            self._used |= _references(schemas)
            return {"anyOf": schemas}
        schema = self._made[kind]
        if "$ref" in schema:
            schema = self._all[schema["$ref"].removeprefix(REF)]
        self._used |= _references(schema)
        return dict(schema)

    def body(self, operation: Operation) -> dict[str, Any]:
        """Return the schema of an operation's body."""
        return dict(operation.takes) if operation.takes is not None else self.of(operation.body)

    def success(self, operation: Operation) -> dict[str, Any]:
        """Return the schema of an operation's success, with its envelope."""
        if operation.payload is None:
            gives = {} if operation.gives is None else operation.gives
            return dict(gives) if isinstance(gives, Mapping) else self.of(gives)
        return dict(operation.envelope.describe(self.of(operation.payload)))

    def parameters(self, operation: Operation) -> list[dict[str, Any]]:
        """Return the parameters of an operation's query."""
        if operation.query is None:
            return []
        schema = self.of(operation.query)
        required = schema.get("required", ())
        return [
            {"name": name, "in": "query", "required": name in required, "schema": one}
            for name, one in schema["properties"].items()
        ]


def _parts(kind: Kind) -> tuple[Kind, ...]:
    """Return the types of a union, which msgspec cannot describe where they are structs."""
    if kind is None or isinstance(kind, Mapping):
        return ()
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _all_present(schema: Json) -> Json:
    """Return the schema of an answer: its fields that have defaults are in it too."""
    fields = schema.get("properties", {})
    always = [name for name, one in fields.items() if "default" in one]
    plain = {
        name: {key: value for key, value in one.items() if key != "default"}
        for name, one in fields.items()
    }
    required = {*schema.get("required", ()), *always}
    return {
        **schema,
        "properties": plain,
        "required": [name for name in fields if name in required],
    }


def _reachable(names: set[str], components: Mapping[str, Json]) -> set[str]:
    """Return the components that some refer to, and those that these refer to, and so on."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= _references(components[name]) - found
    return found


def _clean(schema: Json, enums: Mapping[str, Json]) -> Json:
    """Inline enums, which a field may describe itself; leave out titles, empty defaults, and null for missing."""
    if isinstance(schema, list):
        return [_clean(one, enums) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {**enums.get(schema.get("$ref", ""), {}), **schema}
    if "enum" in schema:
        schema.pop("$ref", None)
        if len(schema["enum"]) == 1:
            [schema["const"]] = schema.pop("enum")
    kept = {name: one for name, one in schema.items() if name != "title"}
    if not kept.get("required", True):
        del kept["required"]
    if "default" in kept and kept["default"] in (None, "", [], {}):
        null = kept.pop("default") is None
        choices = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
        if null and len(choices) == 1:
            del kept["anyOf"]
            kept = choices[0] | kept
            return _clean(kept, enums)
    return {
        name: {field: _clean(one, enums) for field, one in value.items()}
        if name == "properties"
        else value
        if name in ("enum", "const", "examples", "default")
        else _clean(value, enums)
        for name, value in kept.items()
    }


def _references(schema: Json) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    if not isinstance(schema, dict):
        return set()
    found = {schema["$ref"].removeprefix(REF)} if "$ref" in schema else set()
    return found.union(*map(_references, schema.values()))
