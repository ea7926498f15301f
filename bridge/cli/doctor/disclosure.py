"""Whether the lines can say what they disclose, and which have machines and disclose nothing, from the settings and the database.

The rules are those of the start (`node.disclosure.checks`).
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from bridge.call.model import LineName
from bridge.cli.doctor import database
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.db.session import Connection
from bridge.node import lines
from bridge.node.disclosure.checks import place_of, problem_of, warning_of
from bridge.node.lines import LineConfig
from bridge.settings.disclosure import ASSET
from bridge.settings.model import Settings

SECTION: Final = "lines.NAME.disclosure"


@dataclass(frozen=True, slots=True)
class Found:
    """What the settings are like."""

    problems: tuple[str, ...]
    """With which the bridge does not start."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Stored:
    configs: dict[LineName, LineConfig]
    assets: frozenset[tuple[str, str]]
    """Of which line, and their ids."""


def check(settings: Settings) -> Found:
    """Return what is wrong with what the lines disclose; blocks while the database is read, if it can be.

    A line that is not in it has no provider and no asset.
    """
    stored = database.read(settings.data, _stored, _Stored({}, frozenset()))
    problems, warnings = [], []
    for name, line in settings.lines.items():
        config = stored.configs.get(LineName(name), LineConfig())
        asset = place_of(name, line, settings)[1].asset
        has_asset = not asset.startswith(ASSET) or (name, asset) in stored.assets
        speaks = bool(config.tts_url)
        problems.append(problem_of(name, settings, config, speaks=speaks, has_asset=has_asset))
        warnings.append(warning_of(name, settings, config))
    return Found(tuple(filter(None, problems)), tuple(filter(None, warnings)))


async def check_disclosures(around: Surroundings) -> list[Finding]:
    """Find out whether callers are told that they hear a machine."""
    found = await asyncio.to_thread(check, around.settings)
    findings = [
        failed(one, setting=SECTION, fix="the bridge does not start with it; do as it says")
        for one in found.problems
    ]
    findings += [
        warning(one, setting=SECTION, fix="say it there, or be sure that nobody has to be told")
        for one in found.warnings
    ]
    return findings or [ok("no line has a machine that callers are not told of")]


def _stored(connection: Connection) -> _Stored:
    rows = connection.execute("SELECT line, asset_id FROM assets")
    return _Stored(lines.stored_configs(connection), frozenset((line, one) for line, one in rows))
