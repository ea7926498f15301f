"""Request fields: struct types read from JSON objects and queries, and the types fields share.

A field may have several spellings (with the class variable `snake_case` all have that one too), and a hook that reads what clients send in its place
(`field(spellings=…, read=…)`). Null counts as missing, except where the type is
`… | UnsetType | None`; so does an empty string where the field is required, unless its `min_length`
is 0. A list in a query is all values of the field. Every error names the field as the client spelled it.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Annotated, Any, Final, TypeAlias, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from multidict import MultiMapping

from bridge.api.server.names import Unknown, find_nearest
from bridge.call import model
from bridge.call.policy import check_emergency
from bridge.errors import InvalidRequest
from bridge.wire.call_id import native

Request = TypeVar("Request", bound=Struct)
Json: TypeAlias = Any
"""A value as it was sent."""
Kind: TypeAlias = Any
"""A type that msgspec knows."""
Read: TypeAlias = Callable[[Json, str], Json]
"""Reads a value as it was sent, given the name it was sent under."""

Names: TypeAlias = Callable[[str], Collection[str]]

MAX_UNKNOWN: Final = 20
"""Unknown names of a body that are looked at."""
_PHONE: Final = re.compile(r"\+?([1-9][0-9]{5,14})(?:(?::[0-9]+)?@s\.whatsapp\.net)?")
_LID: Final = re.compile(r"[1-9][0-9]{5,19}@lid")
"""A party that hides its number from us."""
_CAPITAL: Final = re.compile(r"[A-Z]")
_WHOLE: Final = re.compile(r"[0-9]{1,16}")
_DIGITS: Final = re.compile(r"[0-9*#A-Da-d]{1,64}")


def field(
    about: str | None = None,
    *,
    spellings: tuple[str, ...] = (),
    names: Names | None = None,
    read: Read | None = None,
    schema: dict[str, Any] | None = None,
    **bounds: Json,
) -> Meta:
    """Describe a field.

    Args:
        about: for the documentation.
        spellings: other names that clients may use.
        names: returns the names that the list of the field may have, given the operation's group; others are warned of.
        read: turns what was sent into a value of the field's type; raises `InvalidRequest`.
        schema: added to the JSON schema.
        bounds: as for `msgspec.Meta`.
    """
    extra = {"spellings": spellings, "names": names, "read": read}
    return Meta(description=about, extra=extra, extra_json_schema=schema, **bounds)


class WrongFields(InvalidRequest):
    """Several fields are wrong, each for a reason of its own."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("the request's fields are not valid: " + ", ".join(errors))
        self.errors = dict(errors)


def wrong_field(name: str, problem: str) -> InvalidRequest:
    """Return the error of a field, which names it first."""
    return InvalidRequest(f"{name}: {problem}", field=name)


def read(
    kind: type[Request], given: Mapping[str, Any], *, strict: bool = True, every: bool = False
) -> Request:
    """Read a struct; unknown fields are ignored (`unknown_names` finds them).

    Args:
        kind: the struct.
        given: names and values as they were sent.
        strict: False reads numbers and booleans from strings, as a query has them.
        every: report all wrong fields, not only the first.

    Raises:
        InvalidRequest: naming the field.
        WrongFields: naming all of them.
    """
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for one in _fields(kind):
        try:
            value = one.read(given, strict=strict)
        except InvalidRequest as error:
            if not every:
                raise
            wrong[error.field or one.name] = str(error)
        else:
            values |= {} if value is UNSET else {one.name: value}
    if wrong:
        raise WrongFields(wrong)
    return kind(**values)


def meant(kind: Kind, given: Mapping[str, Any]) -> type[Struct]:
    """Return the struct of a body: of a union the first whose `is_meant` says so, else the last."""
    *vendors, common = get_args(kind) or (kind,)
    found: type[Struct] = next((one for one in vendors if one.is_meant(given)), common)
    return found


def unknown_names(kind: type[Struct], given: Mapping[str, Any], group: str) -> list[Unknown]:
    """Return the unknown fields of a body, and unknown names in it, at most `MAX_UNKNOWN`."""
    return list(islice(_unknown(kind, given, group), MAX_UNKNOWN))


def _unknown(kind: type[Struct], given: Mapping[str, Any], group: str) -> Iterator[Unknown]:
    known = {name: one for one in _fields(kind) for name in one.names}
    shown = [one.names[0] for one in _fields(kind)]
    for name, value in given.items():
        one = known.get(name)
        if one is None:
            if shown:
                yield find_nearest(name, shown)
        elif (
            isinstance(value, dict) and isinstance(one.kind, type) and issubclass(one.kind, Struct)
        ):
            yield from _unknown(one.kind, value, group)
        elif isinstance(value, list) and one.known is not None:
            yield from _unknown_words(value, one.known(group), name)


def _unknown_words(given: list[Json], known: Collection[str], field: str) -> Iterator[Unknown]:
    for word in given:
        if isinstance(word, str) and word not in known and not _matches_any(word, known):
            yield find_nearest(word, known, field)


def _matches_any(word: str, known: Collection[str]) -> bool:
    """Whether it is the beginning of a known name before `*`."""
    return word.endswith("*") and any(one.startswith(word[:-1]) for one in known)


def spelled(given: Mapping[str, Any], *names: str) -> str:
    """Return under which of its names a field was sent; the first when it is missing."""
    there = [name for name in names if name in given]
    used = [name for name in there if given[name] is not None]
    return next(iter((*used, *there)), names[0])


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    names: tuple[str, ...]
    kind: Any
    hook: Read | None
    known: Names | None
    required: bool
    keeps_null: bool
    keeps_empty: bool
    is_whole: bool
    is_list: bool

    def read(self, given: Mapping[str, Any], *, strict: bool) -> Json:
        """Return the field's value, UNSET where it is missing."""
        name = spelled(given, *self.names)
        value: Json = given.get(name)
        if self.is_list and isinstance(given, MultiMapping):
            value = [one for key in self.names for one in given.getall(key, ())] or None
        if value is not None and (value != "" or self.keeps_empty or not self.required):
            return self.convert(value, name, strict=strict)
        if self.required:
            raise InvalidRequest(f"missing {name} in payload", field=name)
        return None if self.keeps_null and name in given else UNSET

    def convert(self, value: Json, name: str, *, strict: bool) -> Json:
        if self.hook is not None:
            value = self.hook(value, name)
        if isinstance(self.kind, type) and issubclass(self.kind, Struct):
            if not isinstance(value, dict):
                raise wrong_field(name, "expected an object")
            return read(self.kind, value, strict=strict)
        if not strict and self.is_whole and not _WHOLE.fullmatch(value):
            value = ""  # msgspec reads 1e9 too
        try:
            return msgspec.convert(value, self.kind, strict=strict)
        except msgspec.ValidationError:
            raise wrong_field(name, f"expected {expected(self.kind)}") from None


@cache
def _fields(kind: type[Struct]) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    is_snake = getattr(kind, "snake_case", False)
    found = []
    for one in msgspec.structs.fields(kind):
        hint = hints[one.name]
        choices = get_args(hint)
        parts = [part for part in choices if part not in (type(None), UnsetType)]
        inner = parts[0] if len(choices) > len(parts) == 1 else hint
        metas = [meta for meta in getattr(inner, "__metadata__", ()) if isinstance(meta, Meta)]
        extra: dict[str, Any] = {}
        for meta in metas:
            extra |= {key: value for key, value in (meta.extra or {}).items() if value}
        json_type = msgspec.json.schema(inner).get("type")
        snake = [_CAPITAL.sub(r"_\g<0>", one.encode_name).lower()] if is_snake else []
        found.append(
            _Field(
                name=one.name,
                names=(one.encode_name, *extra.get("spellings", ()), *snake),
                kind=inner,
                hook=extra.get("read"),
                known=extra.get("names"),
                required=one.required,
                is_whole=json_type == "integer",
                is_list=json_type == "array",
                keeps_null=one.default is UNSET and type(None) in choices,
                keeps_empty=any(meta.min_length == 0 for meta in metas),
            )
        )
    return tuple(found)


@cache
def expected(kind: Kind) -> str:
    """Return what a field of a type must hold, for an error message."""
    schema = msgspec.json.schema(kind)
    match next(iter(schema.get("$defs", {}).values()), schema):
        case {"enum": choices}:
            return f"one of {', '.join(map(str, choices))}"
        case {"type": "integer", "minimum": minimum, "maximum": maximum}:
            return f"a whole number from {minimum} to {maximum}"
        case {"type": "number" | "integer", "minimum": minimum}:
            return f"a number of at least {minimum}"
        case {"type": "string", "maxLength": maximum}:
            return f"a string of at most {maximum} characters"
        case {"type": "array", "maxItems": maximum}:
            return f"a list of at most {maximum} words"
        case {"type": "array"}:
            return "a list"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": str(word)}:
            return f"an {word}" if word[0] in "aeio" else f"a {word}"
    return "another type"


# What clients send in place of a field's value


def _call_id(value: Json, name: str) -> Json:
    return (native(value) or value) if isinstance(value, str) else value


def read_phone(value: Json, name: str) -> Json:
    """Return the digits of a phone number, sent as a number, with `+`, or as a WhatsApp JID."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if is_number else value
    if not isinstance(text, str):
        return text
    check_emergency(text.strip())
    match = _PHONE.fullmatch(text.strip())
    if match is None:
        raise wrong_field(name, "expected country code and number in digits, such as 15550100001")
    return match[1]


def _peer(value: Json, name: str) -> Json:
    text = value.strip() if isinstance(value, str) else ""
    if text.endswith("@g.us"):
        raise wrong_field(name, "a group cannot be called")
    return text if _LID.fullmatch(text) else read_phone(value, name)


def _digits(value: Json, name: str) -> Json:
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise wrong_field(name, "expected 1 to 64 of 0-9, *, #, A-D")
    return value.upper() if isinstance(value, str) else value


CALL_ID_SPELLINGS: Final = ("callId", "callID", "CallID", "call_id")
_CALL_ID: Final = (
    "the call, in any of its forms: 32 hexadecimal digits, `call_…`, a UUID; the field may also be "
    "spelled `callId`, `callID`, `CallID` or `call_id`"
)
CallId = Annotated[str, field(_CALL_ID, spellings=CALL_ID_SPELLINGS, read=_call_id)]
"""A call's id; native whatever form it came in."""
LegId = Annotated[
    model.LegId, field("one leg; without it all", spellings=("legID", "legId", "LegID", "leg_id"))
]
_PHONE_SCHEMA: Final = {"examples": ["15550100002"]}
PHONE_ABOUT: Final = (
    "country code and number in digits; a leading `+` and a WhatsApp JID are accepted too"
)
Phone = Annotated[str, field(PHONE_ABOUT, read=read_phone, schema=_PHONE_SCHEMA)]
"""A phone number in digits, with its country code."""
Peer = Annotated[str, field(PHONE_ABOUT, read=_peer, schema=_PHONE_SCHEMA)]
"""Whom to call over WhatsApp: a number as in `Phone`, or a hidden one as `digits@lid`."""
Digits = Annotated[str, field(spellings=("Digits",), read=_digits, pattern="^[0-9*#A-Da-d]{1,64}$")]
"""DTMF digits, in upper case."""
Timestamp = Annotated[
    str,
    Meta(
        description="ISO 8601 in UTC with milliseconds", extra_json_schema={"format": "date-time"}
    ),
]
Url = Annotated[str, Meta(extra_json_schema={"format": "uri"})]
Count = Annotated[int, Meta(ge=0)]


class CallBody(Struct, rename="camel"):
    """The call that a request is about."""

    call_id: CallId


class PaginationQuery(Struct):
    """Which part of a list to return."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0
