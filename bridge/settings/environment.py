"""Settings from environment variables and from the files that these name.

`BRIDGE_SECTION__KEY` is a value; `BRIDGE_SECTION__KEY_FILE` is the path of a file with the value, such
as a container secret.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.inspect import DictType, ListType, StructType, type_info

from bridge.errors import SettingsError
from bridge.settings.renamed import RENAMED
from bridge.settings.tree import KeyPath, Mistake

PREFIX = "BRIDGE_"
FILE_SUFFIX = "_FILE"


class Placed(NamedTuple):
    """What the environment has set."""

    variables: dict[KeyPath, str]
    """By path: the variable that set the value or the table."""
    mistakes: list[Mistake]


def place(tree: dict[str, Any], environment: Mapping[str, str], shape: type) -> Placed:
    """Merge environment variables into a tree of settings, which they override.

    Variables without the prefix are ignored. `shape` is the type of the settings: a file for a list has
    one value per line. A variable that is invalid, or whose file cannot be read, is a mistake and sets nothing.
    """
    placed = Placed({}, [])
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        path = tuple(name.removeprefix(PREFIX).removesuffix(FILE_SUFFIX).lower().split("__"))
        is_list = _is_list(shape, RENAMED.get(path, path))
        try:
            _put(tree, path, _content(environment, name, text, is_list=is_list))
        except SettingsError as error:
            placed.mistakes.append(Mistake(path, str(error), name))
            continue
        for below in [one for one in placed.variables if one[: len(path)] == path]:
            del placed.variables[below]
        placed.variables[path] = name
    return placed


def _content(environment: Mapping[str, str], name: str, text: str, *, is_list: bool) -> object:
    if not name.endswith(FILE_SUFFIX):
        return _value(text)
    if environment.get(name.removesuffix(FILE_SUFFIX)) is not None:
        raise SettingsError(f"the variable without {FILE_SUFFIX} is set too")
    content = _read(text)
    return content.split() if is_list else _value(content)


def _put(tree: dict[str, Any], path: Sequence[str], value: object) -> None:
    *tables, key = path
    table = tree
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{part} is a value, not a section")
    table[key] = value


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _is_list(shape: type, path: Sequence[str]) -> bool:
    found: object = type_info(shape)
    for part in path:
        if isinstance(found, DictType):
            found = found.value_type
        elif isinstance(found, StructType):
            found = next((field.type for field in found.fields if field.encode_name == part), None)
    return isinstance(found, ListType)


def _value(text: str) -> object:
    """Parse a list or table as JSON; anything else stays text."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
