"""The settings in force as TOML, each with where it comes from, and no secret."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final, cast

import msgspec
from msgspec.inspect import Field, StructType, type_info

from bridge.settings.model import Settings
from bridge.settings.secrets import hide
from bridge.settings.tree import KeyPath

DEFAULT: Final = "default"
_BARE: Final = re.compile("[A-Za-z0-9_-]+")
_DELETE: Final = "\x7f"
"""The only character that JSON leaves as it is and TOML does not."""


def to_toml(settings: Settings, origins: Mapping[KeyPath, str], *, changed: bool) -> str:
    """Return the settings as TOML, with the origin of each in a comment.

    Args:
        settings: The settings.
        origins: By path, where those that are set come from.
        changed: Leave out those that are as by default.
    """
    demonstration = [] if settings.lines else ["\n# no lines: those of the demonstration\n"]
    return "".join([*_table(settings, (), origins, changed=changed), *demonstration])


def write(value: object) -> str:
    """Return a value of the settings as TOML, on one line."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(write, value))}]"
    if isinstance(value, Mapping):
        pairs = [f"{_key(str(name))} = {write(one)}" for name, one in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    return json.dumps(value, ensure_ascii=False).replace(_DELETE, "\\u007f")


def _table(
    section: msgspec.Struct, path: KeyPath, origins: Mapping[KeyPath, str], *, changed: bool
) -> Iterator[str]:
    shape = cast("StructType", type_info(type(section)))
    rows, below = [], []
    for field in shape.fields:
        value, at = getattr(section, field.name), (*path, field.name)
        if isinstance(value, msgspec.Struct):
            below.append((at, value))
        elif isinstance(value, dict):
            below += [((*at, name), one) for name, one in value.items()]
        elif value is not None and not (changed and value == _default(field)):
            shown = write(hide(value, field.type))
            rows.append(f"{field.name} = {shown}  # {origins.get(at, DEFAULT)}\n")
    if rows and path:
        yield f"\n[{'.'.join(map(_key, path))}]\n"
    yield from rows
    for at, one in below:
        yield from _table(one, at, origins, changed=changed)


def _default(field: Field) -> object:
    made = field.default_factory
    return field.default if made is msgspec.NODEFAULT else made()


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else write(name)
