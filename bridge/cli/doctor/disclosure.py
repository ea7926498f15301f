"""Check the disclosures of lines against the settings and the database.

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
    """The result for the settings."""

    problems: tuple[str, ...]
    """Problems that keep the bridge from starting."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Stored:
    configs: dict[LineName, LineConfig]
    assets: frozenset[tuple[str, str]]
    """Line and id of each asset."""


def check(settings: Settings) -> Found:
    """Return the problems of the lines' disclosures; blocks while it reads the database, if that can be read.

    A line that is not in the database has no provider and no asset.
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
    """Check that callers are told that they hear a machine."""
    found = await asyncio.to_thread(check, around.settings)
    findings = [
        failed(one, setting=SECTION, fix="the bridge will not start until this is corrected")
        for one in found.problems
    ]
    findings += [
        warning(one, setting=SECTION, fix="set it, or make sure that callers need not be told")
        for one in found.warnings
    ]
    return findings or [ok("every line with a machine has a disclosure")]


def _stored(connection: Connection) -> _Stored:
    rows = connection.execute("SELECT line, asset_id FROM assets")
    return _Stored(lines.stored_configs(connection), frozenset((line, one) for line, one in rows))
