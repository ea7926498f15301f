"""`media-bridge config`: what is wrong with the settings, and what they are."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from bridge.cli.config_table import to_toml
from bridge.errors import SettingsError
from bridge.settings import model
from bridge.settings.model import FILE, Reading

FAULTY: Final = 1


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
        sys.stdout.write(report(reading))
        return FAULTY if reading.problems else 0
    if reading.problems:
        count = len(reading.problems)
        more = f" (and {count - 1} more: media-bridge config check)" if count > 1 else ""
        raise SettingsError(f"{reading.problems[0]}{more}")
    sys.stdout.write(
        f"# {sources(reading)}\n{to_toml(reading.settings, reading.origins, changed=arguments.changed)}"
    )
    return 0


def report(reading: Reading) -> str:
    """Return every problem as a line of its own, or that there is none."""
    if not reading.problems:
        return f"ok: {sources(reading)}\n"
    count = len(reading.problems)
    found = "1 problem" if count == 1 else f"{count} problems"
    lines = [
        *reading.problems,
        f"{found} in {sources(reading)}; docs/settings.md has every setting",
    ]
    return "".join(f"{line}\n" for line in lines)


def sources(reading: Reading) -> str:
    """Name the settings file, and say how many variables of the environment were used."""
    count = len(set(reading.origins.values()) - {FILE})
    variables = "1 environment variable" if count == 1 else f"{count} environment variables"
    if reading.file:
        return f"{reading.file} and {variables}" if count else str(reading.file)
    return f"{variables}, no settings file" if count else "no settings file, all defaults"
