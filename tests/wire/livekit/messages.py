"""Messages of every type, made by hypothesis from the annotations of the structs."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from bridge.wire.livekit import models, request, response
from bridge.wire.livekit.protobuf import Integer, Message

MESSAGES = sorted(
    {
        kind
        for module in (models, request, response)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
    },
    key=lambda kind: kind.__name__,
)
ONE_OF = {
    request.SignalRequest,
    response.SignalResponse,
    response.RequestResponse,
}
"""Their fields that may be absent are members of a oneof."""
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    bytes: st.binary(max_size=8),
    bool: st.booleans(),
    float: st.floats(width=32, allow_nan=False),
}


def described(kind) -> Iterator[tuple[str, int, str, Any]]:
    """Yield name, number, shape (one, optional, list, map) and type of every field; of integers the `Integer`."""
    for name, annotation in get_type_hints(kind, include_extras=True).items():
        inner, *integer, number = get_args(annotation)
        if get_origin(inner) is dict:
            yield name, number, "map", None
        elif get_origin(inner) is tuple:
            yield name, number, "list", _plain(get_args(inner)[0])
        elif type(None) in get_args(inner):
            yield name, number, "optional", _plain(get_args(inner)[0])
        else:
            yield name, number, "one", integer[0] if integer else inner


def message(kind) -> st.SearchStrategy[Any]:
    """Return a strategy of messages of a type, each with one member of its oneof at most."""
    fields = {name: _field(shape, plain) for name, _, shape, plain in described(kind)}
    if kind not in ONE_OF:
        return st.builds(kind, **fields)
    members = {name for name, _, shape, _ in described(kind) if shape == "optional"}
    others = {name: each for name, each in fields.items() if name not in members}
    return st.one_of(
        [st.builds(kind, **others, **{name: fields[name]}) for name in sorted(members)]
    )


def _plain(annotation):
    return get_args(annotation)[1] if get_origin(annotation) is Annotated else annotation


def _field(shape, plain):
    if shape == "map":
        return st.dictionaries(_SCALARS[str], _SCALARS[str], max_size=2)
    one = _value(plain)
    if shape == "list":
        return st.lists(one, max_size=2).map(tuple)
    return st.none() | one if shape == "optional" else one


def _value(plain):
    if isinstance(plain, Integer):
        lowest = -(1 << plain.bits - 1) if plain.signed else 0
        return st.integers(lowest, lowest + (1 << plain.bits) - 1)
    return message(plain) if issubclass(plain, Message) else _SCALARS[plain]
