"""Settings from environment variables and from the files that these name.

`BRIDGE_SECTION__KEY` is a value; `BRIDGE_SECTION__KEY_FILE` is the path of a file with the value, such
as a container secret.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.inspect import DictType, ListType, StructType, type_info

from bridge.errors import SettingsError

PREFIX = "BRIDGE_"
FILE_SUFFIX = "_FILE"


def place(tree: dict[str, Any], environment: Mapping[str, str], shape: type) -> None:
    """Merge environment variables into a tree of settings, which they override.

    Variables without the prefix are ignored. `shape` is the type of the settings: a file for a list has
    one value per line.

    Raises:
        SettingsError: A variable is invalid, or its file cannot be read; the message names it.
    """
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        path = name.removeprefix(PREFIX).removesuffix(FILE_SUFFIX).lower().split("__")
        if not name.endswith(FILE_SUFFIX):
            _put(tree, name, path, _value(text))
        elif environment.get(name.removesuffix(FILE_SUFFIX)) is not None:
            raise SettingsError(f"{name}: the variable without {FILE_SUFFIX} is set too")
        else:
            content = _read(name, text)
            _put(tree, name, path, content.split() if _is_list(shape, path) else _value(content))


def _put(tree: dict[str, Any], name: str, path: Sequence[str], value: object) -> None:
    *tables, key = path
    table = tree
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{name}: {part} is a value, not a section")
    table[key] = value


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: {path} cannot be read: {error}") from error


def _is_list(shape: type, path: Sequence[str]) -> bool:
    found: object = type_info(shape)
    for part in path:
        if isinstance(found, DictType):
            found = found.value_type
        elif isinstance(found, StructType):
            found = next((field.type for field in found.fields if field.name == part), None)
    return isinstance(found, ListType)


def _value(text: str) -> object:
    """Parse a list or table as JSON; anything else stays text."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
