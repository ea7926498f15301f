"""How operations are described: schemas in few words, and what all operations have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from bridge.api import operation

Schema: TypeAlias = Mapping[str, Any]


def shape(fields: Mapping[str, Schema], *, about: str = "") -> Schema:
    """Describe an object; a field whose name ends in `?` may be missing."""
    described: dict[str, Any] = {
        "type": "object",
        "properties": {name.removesuffix("?"): schema for name, schema in fields.items()},
    }
    if required := [name for name in fields if not name.endswith("?")]:
        described["required"] = required
    return described | ({"description": about} if about else {})


def text(about: str = "", **more: object) -> Schema:
    """Describe a string."""
    return {"type": "string", **({"description": about} if about else {}), **more}


def words(*choices: str, about: str = "") -> Schema:
    """Describe a string of a closed set."""
    return text(about, enum=list(choices))


def whole(least: int, most: int, default: int | None = None, *, about: str = "") -> Schema:
    """Describe a whole number between bounds."""
    described: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    described |= {} if default is None else {"default": default}
    return described | ({"description": about} if about else {})


def many(schema: Schema) -> Schema:
    """Describe a list."""
    return {"type": "array", "items": schema}


def maybe(schema: Schema) -> Schema:
    """Describe what may be null."""
    if "type" not in schema or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def named(name: str) -> Schema:
    """Refer to a schema that has a name."""
    return {"$ref": f"#/components/schemas/{name}"}


def native(fields: Mapping[str, Schema], *, beside: Mapping[str, Schema] | None = None) -> Schema:
    """Describe the native envelope around a payload."""
    envelope = {
        "code": {"const": 200},
        "data": shape(fields),
        "success": {"const": True},
    }
    return shape(envelope | dict(beside or {}))


FLAG: Final[Schema] = {"type": "boolean"}
TRUE: Final[Schema] = {"const": True}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
ANYTHING: Final[Schema] = {"type": "object", "additionalProperties": True}
MOMENT: Final[Schema] = text("ISO 8601 in UTC with milliseconds", format="date-time")
CALL_ID: Final[Schema] = text(
    "the call, in any of its forms: 32 hexadecimal digits, `call_…`, a UUID; the field may also be "
    "spelt `callId`, `callID`, `CallID` or `call_id`"
)
PHONE: Final[Schema] = text(
    "country code and number in digits; a leading `+` and a WhatsApp JID are taken too",
    examples=["15550100002"],
)
URL: Final[Schema] = text(format="uri")
OK: Final[Schema] = native({"ok": TRUE})
EVENTS: Final[Schema] = many(text("an event's name, or the beginning of one before `*`"))


class Auth:
    """What opens an operation."""

    NOBODY = operation.NOBODY
    KEY = operation.KEY
    ADMIN = operation.ADMIN
    TICKET = operation.TICKET
    QUERY = operation.QUERY
    QUERY_TICKET = operation.QUERY_TICKET
    APPID = operation.APPID


SECURITY: Final[Mapping[str, Schema]] = {
    "token": {"type": "apiKey", "in": "header", "name": "token"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "admin": {"type": "apiKey", "in": "header", "name": "token", "description": "admin.keys"},
    "adminBearer": {"type": "http", "scheme": "bearer", "description": "admin.keys"},
    "query": {"type": "apiKey", "in": "query", "name": "token"},
    "appid": {"type": "apiKey", "in": "query", "name": "appid"},
    "ticket": {
        "type": "apiKey",
        "in": "header",
        "name": "token",
        "description": "a ticket from POST /call/{callId}/ticket; good for one party of one call",
    },
    "ticketQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "a ticket, on WebSockets and event streams",
    },
}

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    face: str
    """Under whose name it is listed."""
    does: str
    """Its summary, a sentence."""
    gives: Schema
    """The body of a success."""
    takes: Schema | None = None
    """The JSON body that it reads."""
    optional_body: bool = False
    """Whether nothing at all is a good body too."""
    query: Mapping[str, Schema] | None = None
    """Parameters of the query; a name that ends in `?` may be missing."""
    errors: tuple[int, ...] = ()
    """Statuses of errors besides those that follow from its key and its body."""
    auth: operation.Auth = Auth.KEY
    status: int = 200
    content: str = JSON
    takes_content: str = JSON
    about: str = ""
    """What the summary cannot say."""
    also: Mapping[int, Schema | None] = field(default_factory=dict)
    """Bodies of other statuses that are no errors in the face's envelope; None for no body."""

    @property
    def statuses(self) -> tuple[int, ...]:
        """All statuses of errors; 403 is also what a wrong Host or Origin gets, 429 a crowd."""
        found = {403, 429, *self.errors}
        if self.auth is not Auth.NOBODY:
            found |= {401}
        if self.takes is not None:
            found |= {400, 408, 413}
        return tuple(sorted(found))


Described: TypeAlias = Mapping[tuple[str, str], Operation]
"""Operations by method and path."""

CALL: Final = (404, 409, 502)
"""Of an operation on a call: there is none, it is not in this state, its node does not answer."""
KEPT: Final = (503,)
"""Of an operation that writes to the database."""
