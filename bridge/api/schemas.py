"""JSON schemas of the operations' types, as the OpenAPI document shows them.

The types of a body and of a payload are described where they stand; what is inside them, and is a
struct too, is a component. https://spec.openapis.org/oas/v3.1.1.html
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from bridge.api.fields import Json, Kind
from bridge.api.operation import Operation

REF: Final = "#/components/schemas/"


class Schemas:
    """The schemas of all types of some operations."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        """Describe the types."""
        kinds = {
            kind
            for one in operations
            for kind in (one.body, one.query, one.payload, *one.also.values())
            if kind is not None
        }
        made, components = msgspec.json.schema_components(kinds, ref_template=REF + "{name}")
        enums = {REF + name: one for name, one in components.items() if "enum" in one}
        self._made = {kind: _clean(one, enums) for kind, one in zip(kinds, made, strict=True)}
        self._all = {name: _clean(one, enums) for name, one in components.items()}
        self._used: set[str] = set()

    @property
    def components(self) -> dict[str, Any]:
        """The schemas that those asked for until now refer to."""
        waiting, found = set(self._used), {}
        while waiting:
            name = waiting.pop()
            found[name] = self._all[name]
            waiting |= _references(found[name]) - set(found)
        return dict(sorted(found.items()))

    def of(self, kind: Kind) -> dict[str, Any]:
        """Return the schema of a type, itself described where it stands."""
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
            return dict(operation.gives or {})
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


def _clean(schema: Json, enums: Mapping[str, Json]) -> Json:
    """Inline enums; leave out titles, empty defaults, and null where it only means missing."""
    if isinstance(schema, list):
        return [_clean(one, enums) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {**schema, **enums.get(schema.get("$ref", ""), {})}
    if "enum" in schema:
        schema.pop("$ref", None)
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
