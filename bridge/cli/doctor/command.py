"""The command: loads the settings, runs the checks, prints the report."""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable
from typing import Final

from bridge import __version__
from bridge.cli.doctor.findings import (
    Finding,
    failed,
    make_report,
    ok,
    secrets_in,
    to_json,
    to_text,
    warning,
)
from bridge.errors import SettingsError
from bridge.settings import model
from bridge.settings.http import MIN_KEY_CHARACTERS
from bridge.settings.model import Settings
from bridge.settings.renamed import FormerName

CHECK: Final = "settings"
INTERRUPTED: Final = 130
"""Exit code of a program that SIGINT ended, in a shell."""
_CLEAR_LINE: Final = "\r\x1b[K"
_MAX_SHOWN: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Check everything; return 0 if all is well, 1 with warnings, 2 with failures."""
    try:
        reading = model.read(os.environ, arguments.config)
        settings = model.accepted(reading)
        if arguments.lan:
            from bridge.cli.lan import on_lan
            from bridge.http.interfaces import default_address

            settings = on_lan(settings, default_address())
    except SettingsError as error:
        unreadable = failed(
            str(error),
            setting=str(error).partition(":")[0],
            fix="correct it; docs/settings.md has every setting. Nothing else was checked",
            check=CHECK,
        )
        report = make_report(__version__, [unreadable])
    else:
        try:
            found = asyncio.run(_check(settings, progress=not arguments.json))
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            return INTERRUPTED
        found = [*renamed(reading.renamed), *check_settings(settings), *found]
        report = make_report(__version__, found, secrets_in(settings))
    sys.stdout.write(f"{to_json(report) if arguments.json else to_text(report)}\n")
    return report.exit_code


def renamed(names: Iterable[FormerName]) -> list[Finding]:
    """Return a warning for each former name that the settings use."""
    return [
        warning(f"{former} is a former name", setting=former, fix=f"write {write}", check=CHECK)
        for former, write in names
    ]


def check_settings(settings: Settings) -> list[Finding]:
    """Return what the settings alone tell; they have been read without an error."""
    short = [name for name, key in model.keys_in(settings) if len(key) < MIN_KEY_CHARACTERS]
    if short:
        return [
            warning(
                f"there are keys of fewer than {MIN_KEY_CHARACTERS} characters in "
                f"{', '.join(dict.fromkeys(short))}",
                setting=short[0],
                fix="make keys with `openssl rand -hex 32`",
                check=CHECK,
            )
        ]
    lines = ", ".join(settings.lines) or "those of the demonstration"
    return [ok(f"they can be read, and agree with each other; lines: {lines}", check=CHECK)]


async def _check(settings: Settings, *, progress: bool) -> list[Finding]:
    # Imported here, because a bridge that serves needs none of it.
    from bridge.app.foundation import guard_of
    from bridge.cli.doctor.checks import CHECKS
    from bridge.cli.doctor.runner import Surroundings, run_checks
    from bridge.cli.doctor.running import Occupant, occupant
    from bridge.http.client import Http
    from bridge.http.resolver import Dns

    dns = Dns(settings.net.nameservers)
    http = Http(guard_of(settings), resolver=dns)
    show = _show if progress and sys.stderr.isatty() else lambda _: None
    try:
        running = await occupant(settings, http) is Occupant.OURS
        around = Surroundings(settings=settings, http=http, dns=dns, running=running)
        return await run_checks(CHECKS, around, progress=show)
    finally:
        await http.aclose()


def _show(waiting: list[str]) -> None:
    """Show on the terminal what is still going on."""
    shown = ", ".join(waiting[:_MAX_SHOWN])
    more = f" and {len(waiting) - _MAX_SHOWN} more" if len(waiting) > _MAX_SHOWN else ""
    text = f"checking {shown}{more} …" if waiting else ""
    sys.stderr.write(f"{_CLEAR_LINE}{text}")
    sys.stderr.flush()
