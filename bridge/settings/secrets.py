"""The secrets in the settings: those of type `Secret`, and the passwords in URLs."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from msgspec.inspect import DictType, ListType, Metadata, StructType, Type, UnionType, type_info

from bridge.settings.section import MARK

HIDDEN: Final = "(hidden)"
_IN_URL: Final = re.compile(r"(?P<before>//[^/?#@:]*:)[^/?#]*(?=@)")
_TOKEN: Final = re.compile(r"(?P<before>\b(?:https?|wss?)://)[^/?#@:]+(?=@)")
"""A user without a password: to web services a token, to a database no more than a name."""
_IN_QUERY: Final = re.compile(r"(?P<before>[?&](?P<name>[^=&#]+)=)[^&#]+")
_NAMED: Final = re.compile(r"pass|secret|token|key|credential|signature", re.IGNORECASE)
_Replace: TypeAlias = Callable[[object], object]


def hide(value: object, kind: Type) -> object:
    """Return a value of the settings with `HIDDEN` in place of every secret, and records as dicts.

    Args:
        value: The value.
        kind: Its type, as `msgspec.inspect.type_info` has it.
    """
    return _map(value, kind, lambda secret: HIDDEN if secret else secret, _without_passwords)


def secrets_in(section: msgspec.Struct) -> list[str]:
    """Return every secret of a section and of those below it, the passwords of URLs in every spelling."""
    found: list[str] = []

    def collect(secret: object) -> None:
        found.append(str(secret))

    def collect_passwords(value: object) -> None:
        if isinstance(value, str):
            found.extend(passwords_in(value))

    _map(section, type_info(type(section)), collect, collect_passwords)
    return found


def passwords_in(url: str) -> Iterator[str]:
    """Yield the secrets in a URL, as they are written and as they are meant."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield from (text for name, text in parse_qsl(parts.query) if _NAMED.search(name))
    token = (parts.username or "") if _TOKEN.match(url) else ""
    if secret := parts.password or token:
        yield from (secret, unquote(secret))


def _map(value: object, kind: Type, secret: _Replace, other: _Replace) -> object:
    """Return a value as plain data, with what `secret` and `other` return for its texts and numbers."""
    match kind:
        case Metadata() if (kind.extra or {}).get(MARK):
            return secret(value)
        case Metadata():
            return _map(value, kind.type, secret, other)
        case StructType():
            return {
                field.encode_name: _map(getattr(value, field.name), field.type, secret, other)
                for field in kind.fields
            }
        case ListType() if isinstance(value, list):
            return [_map(one, kind.item_type, secret, other) for one in value]
        case DictType() if isinstance(value, Mapping):
            return {name: _map(one, kind.value_type, secret, other) for name, one in value.items()}
        case UnionType() if isinstance(value, msgspec.Struct):
            return _map(value, type_info(type(value)), secret, other)
    return other(value)


def _without_passwords(value: object) -> object:
    if not isinstance(value, str) or "://" not in value:
        return value
    kept = value
    for pattern in (_IN_URL, _TOKEN):
        kept = pattern.sub(lambda found: found["before"] + HIDDEN, kept)
    return _IN_QUERY.sub(
        lambda found: found["before"] + HIDDEN if _NAMED.search(found["name"]) else found[0], kept
    )
