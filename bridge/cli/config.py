"""`media-bridge config`: what is wrong with the settings, and what they are."""

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import msgspec
from msgspec.inspect import Field, StructType, type_info

from bridge.cli.doctor import disclosure
from bridge.errors import SettingsError
from bridge.settings import model
from bridge.settings.model import FILE, Reading, Settings
from bridge.settings.secrets import hide
from bridge.settings.tree import KeyPath

FAULTY: Final = 1
DEFAULT: Final = "default"
_BARE: Final = re.compile("[A-Za-z0-9_-]+")
_DELETE: Final = "\x7f"
"""The only character that JSON leaves as it is and TOML does not."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="check|show")
    check = actions.add_parser(
        "check",
        help="name everything that is wrong with the settings; the exit code is 1 then",
        description="Read the settings as the bridge would, and name everything that is wrong with them. "
        "Nothing is started or written; `doctor` also tries what the settings lead to.",
    )
    show = actions.add_parser(
        "show",
        help="print the settings in force and where each comes from, without secrets",
        description="Print the settings in force as TOML. The comment behind each says where it comes from: "
        "default, file, or the name of an environment variable. Secrets are shown as (hidden).",
    )
    show.add_argument(
        "--changed", action="store_true", help="only those that differ from the default"
    )
    for action in (check, show):
        action.add_argument(
            "file",
            nargs="?",
            type=Path,
            help="settings file (default: that of --config, else of $BRIDGE_CONFIG)",
        )


def run(arguments: argparse.Namespace) -> int:
    """Perform the command; return the exit code.

    Raises:
        SettingsError: settings that are to be shown are faulty.
    """
    reading = model.read(os.environ, arguments.file or arguments.config)
    if arguments.action == "check":
        found = disclosure.check(reading.settings)
        reading = replace(reading, problems=(*reading.problems, *found.problems))
        sys.stdout.write(report(reading, found.warnings))
        return FAULTY if reading.problems else 0
    if reading.problems:
        count = len(reading.problems)
        more = f" (and {count - 1} more: media-bridge config check)" if count > 1 else ""
        raise SettingsError(f"{reading.problems[0]}{more}")
    sys.stdout.write(
        f"# {sources(reading)}\n{to_toml(reading.settings, reading.origins, changed=arguments.changed)}"
    )
    return 0


def report(reading: Reading, more: Sequence[str] = ()) -> str:
    """Return every warning, those of `more` too, and every problem as a line of its own, or that there is none."""
    former = [f"{name} is a former name: write {write}" for name, write in reading.renamed]
    warnings = "".join(f"warning: {one}\n" for one in [*former, *more])
    if not reading.problems:
        return f"{warnings}ok: {sources(reading)}\n"
    count = len(reading.problems)
    found = "1 problem" if count == 1 else f"{count} problems"
    lines = [
        *reading.problems,
        f"{found} in {sources(reading)}; docs/settings.md has every setting",
    ]
    return warnings + "".join(f"{line}\n" for line in lines)


def sources(reading: Reading) -> str:
    """Name the settings file, and say how many variables of the environment were used."""
    count = len(set(reading.origins.values()) - {FILE})
    variables = "1 environment variable" if count == 1 else f"{count} environment variables"
    if reading.file:
        return f"{reading.file} and {variables}" if count else str(reading.file)
    return f"{variables}, no settings file" if count else "no settings file, all defaults"


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
        value, at = getattr(section, field.name), (*path, field.encode_name)
        if isinstance(value, msgspec.Struct):
            below.append((at, value))
        elif isinstance(value, dict):
            below += [((*at, name), one) for name, one in value.items()]
        elif value is not None and not (changed and value == _default(field)):
            shown = write(hide(value, field.type))
            rows.append(f"{field.encode_name} = {shown}  # {origins.get(at, DEFAULT)}\n")
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
