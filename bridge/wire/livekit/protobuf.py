"""Protobuf (proto3), read and written by the annotations of structs.

A field is `name: Annotated[TYPE, NUMBER] = DEFAULT`. TYPE is `str`, `bytes`, `bool`, `float` (32 bits), an integer of this
module, another message, `tuple[TYPE, ...]`, `dict[str, str]` (a map), or `TYPE | None` where absent and zero differ (messages, members
of a oneof). As in proto3, what is absent is zero or empty, so that has to be the DEFAULT.

Encoding: https://protobuf.dev/programming-guides/encoding. A message that comes twice where one is expected replaces the first,
and of a oneof all members are read that were sent. Unknown fields are skipped. Since a message is made of messages that are
defined before it, nothing is nested deeper than the structs are.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from bridge.errors import LocalProtocolError, RemoteProtocolError

MAX_BYTES: Final = 1 << 20
"""Of a message."""
MAX_VALUES: Final = 10_000
"""Of a message and all in it, unknown ones and those of lists too: what reading costs at most."""
_VARINT, _FIXED64, _SIZED, _FIXED32 = 0, 1, 2, 5
_MAX_KEY: Final = 1 << 32
_MASK64: Final = (1 << 64) - 1
_VARINT_BITS: Final = 70
_FLOAT: Final = struct.Struct("<f")


class Integer(NamedTuple):
    """A type of integers."""

    bits: int
    signed: bool

    def wrapped(self, number: int) -> int:
        """Return what an unsigned number of 64 bits means in this type, which drops the bits it has no room for."""
        number &= (1 << self.bits) - 1
        negative = self.signed and number >> (self.bits - 1)
        return number - (1 << self.bits) if negative else number

    def holds(self, number: int) -> bool:
        """Return whether a number is of this type."""
        return self.wrapped(number & _MASK64) == number


Int32: TypeAlias = Annotated[int, Integer(32, signed=True)]
Int64: TypeAlias = Annotated[int, Integer(64, signed=True)]
UInt32: TypeAlias = Annotated[int, Integer(32, signed=False)]
UInt64: TypeAlias = Annotated[int, Integer(64, signed=False)]
EnumNumber: TypeAlias = Int32
"""The value of an enumeration; it may be one that is not known here."""


class Message(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A message of protobuf."""


M = TypeVar("M", bound=Message)
_Value: TypeAlias = str | bytes | bool | int | float | Message


class _Entry(Message, frozen=True):
    """An entry of a map."""

    key: Annotated[str, 1] = ""
    value: Annotated[str, 2] = ""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    number: int
    kind: object
    """A type, or an `Integer`."""
    shape: Literal["one", "optional", "list", "map"]

    @property
    def wire_type(self) -> int:
        if self.kind is bool or isinstance(self.kind, Integer):
            return _VARINT
        return _FIXED32 if self.kind is float else _SIZED

    @property
    def packs(self) -> bool:
        return self.shape == "list" and self.wire_type != _SIZED


@cache
def _fields(message: type[Message]) -> dict[int, _Field]:
    """Return the fields of a message by number."""
    hints = get_type_hints(message, include_extras=True)
    found = (_field(name, annotation) for name, annotation in hints.items())
    return {field.number: field for field in found}


def _field(name: str, annotation: object) -> _Field:
    kind, *integer, number = get_args(annotation)
    if integer:
        return _Field(name, number, integer[0], "one")
    if get_origin(kind) is dict:
        return _Field(name, number, _Entry, "map")
    if get_origin(kind) is tuple:
        return _Field(name, number, _kind(get_args(kind)[0]), "list")
    if get_origin(kind) in (Union, UnionType):
        (one,) = (each for each in get_args(kind) if each is not NoneType)
        return _Field(name, number, _kind(one), "optional")
    return _Field(name, number, kind, "one")


def _kind(annotation: object) -> object:
    """Return the integer of an annotated type, any other type as it is."""
    return get_args(annotation)[1] if get_origin(annotation) is Annotated else annotation


def encode(message: Message) -> bytes:
    """Write a message; what UTF-8 cannot hold becomes a question mark.

    Raises:
        LocalProtocolError: a number is not of its field's type.
    """
    out = bytearray()
    for field in _fields(type(message)).values():
        plain = [_plain(field, each) for each in _present(field, message)]
        if plain and field.packs:
            out += _sized(field.number, b"".join(plain))
            continue
        for each in plain:
            if field.wire_type == _SIZED:
                out += _sized(field.number, each)
            else:
                out += _varint(field.number << 3 | field.wire_type) + each
    return bytes(out)


def _present(field: _Field, message: Message) -> Iterable[_Value]:
    """Return the values of a field that are written."""
    given = getattr(message, field.name)
    if field.shape == "map":
        return [_Entry(key=key, value=value) for key, value in given.items()]
    if field.shape == "list":
        return cast("Iterable[_Value]", given)
    absent = given is None if field.shape == "optional" else not given
    return () if absent else (given,)


def _plain(field: _Field, value: _Value) -> bytes:
    """Return a value without its key and size."""
    if isinstance(value, str):
        return value.encode(errors="replace")
    if isinstance(value, bytes):
        return value
    if isinstance(value, Message):
        return encode(value)
    if field.kind is float:
        try:
            return _FLOAT.pack(value)
        except OverflowError:
            raise LocalProtocolError(f"the number of {field.name} does not fit") from None
    number = int(value)
    if isinstance(field.kind, Integer) and not field.kind.holds(number):
        raise LocalProtocolError(f"the number of {field.name} does not fit")
    return _varint(number & _MASK64)


def _sized(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _SIZED) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode(message: type[M], data: bytes) -> M:
    """Read a message.

    Raises:
        RemoteProtocolError: it is malformed, or larger than `MAX_BYTES` or `MAX_VALUES`.
    """
    if len(data) > MAX_BYTES:
        raise RemoteProtocolError("the message is too large")
    return _Reader(data).message(message, len(data))


class _Reader:
    """What is left of a message, and of the values it may have."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._values = 0

    def message(self, message: type[M], end: int) -> M:
        """Read all fields up to `end`."""
        fields = _fields(message)
        values: dict[str, Any] = {}
        while self._at < end:
            self._count()
            key = self._varint(end)
            wire_type = key & 7
            if not 8 <= key < _MAX_KEY:
                raise RemoteProtocolError("a field has an impossible number")
            field = fields.get(key >> 3)
            if field is not None and wire_type == field.wire_type:
                self._keep(field, self._value(field, end), values)
            elif field is not None and field.packs and wire_type == _SIZED:
                values.setdefault(field.name, []).extend(self._packed(field, end))
            else:
                self._skip(wire_type, end)
        lists = {name: tuple(each) for name, each in values.items() if isinstance(each, list)}
        return message(**values | lists)

    @staticmethod
    def _keep(field: _Field, value: _Value, values: dict[str, Any]) -> None:
        if field.shape == "list":
            values.setdefault(field.name, []).append(value)
        elif isinstance(value, _Entry):
            values.setdefault(field.name, {})[value.key] = value.value
        else:
            values[field.name] = value

    def _packed(self, field: _Field, end: int) -> Iterator[_Value]:
        """Read a list of numbers."""
        end = self._size(end)
        while self._at < end:
            self._count()
            yield self._value(field, end)

    def _value(self, field: _Field, end: int) -> _Value:
        kind = field.kind
        if kind is bool:
            return self._varint(end) != 0
        if isinstance(kind, Integer):
            return kind.wrapped(self._varint(end))
        if kind is float:
            (number,) = _FLOAT.unpack(self._taken(4, end))
            return cast("float", number)
        end = self._size(end)
        if kind is not str and kind is not bytes:
            return self.message(cast("type[Message]", kind), end)
        taken = self._taken(end - self._at, end)
        if kind is bytes:
            return taken
        try:
            return taken.decode()
        except UnicodeDecodeError:
            raise RemoteProtocolError("a text is not in UTF-8") from None

    def _skip(self, wire_type: int, end: int) -> None:
        if wire_type == _VARINT:
            self._varint(end)
        elif wire_type == _SIZED:
            self._at = self._size(end)
        elif wire_type in (_FIXED32, _FIXED64):
            self._taken(4 if wire_type == _FIXED32 else 8, end)
        else:
            raise RemoteProtocolError("a field has a wire type that proto3 does not use")

    def _size(self, end: int) -> int:
        """Read the size of a value; return its end."""
        size = self._varint(end)
        if size > end - self._at:
            raise RemoteProtocolError("the message is cut off")
        return self._at + size

    def _taken(self, size: int, end: int) -> bytes:
        if size > end - self._at:
            raise RemoteProtocolError("the message is cut off")
        start, self._at = self._at, self._at + size
        return self._data[start : self._at]

    def _varint(self, end: int) -> int:
        number = 0
        for shift in range(0, _VARINT_BITS, 7):
            if self._at >= end:
                raise RemoteProtocolError("the message is cut off")
            byte = self._data[self._at]
            self._at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number & _MASK64
        raise RemoteProtocolError("a number has more than 64 bits")

    def _count(self) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise RemoteProtocolError("the message has too many values")
