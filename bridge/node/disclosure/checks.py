"""Check whether lines can speak their disclosures, and which lines have machines but no disclosure."""

import logging
from collections.abc import Collection
from typing import Final

from bridge.call.model import LineName
from bridge.errors import InvalidRequest, NotFound, SettingsError
from bridge.media.assets import Assets
from bridge.node.lines import InboundMode, LineConfig, Lines
from bridge.settings.disclosure import ASSET, Disclosure, unspeakable
from bridge.settings.line import Line
from bridge.settings.model import Settings
from bridge.wire.stream.protocols import PROTOCOLS

log = logging.getLogger(__name__)

AGENT_MODES: Final = frozenset({InboundMode.BOT, InboundMode.IVR, InboundMode.AI})


def has_machine(line: Line | None, config: LineConfig) -> bool:
    """Whether a line has an agent or a speech-to-speech model; `line` is None if the settings do not have it."""
    if config.mode in AGENT_MODES or (line is not None and line.realtime is not None):
        return True
    return config.mode is InboundMode.STREAM and PROTOCOLS[config.stream_protocol].model


def place_of(name: str, line: Line | None, settings: Settings) -> tuple[str, Disclosure]:
    """Return the section of the settings that applies to a line, and its content."""
    if line is None or line.disclosure is None:
        return "disclosure", settings.disclosure
    return f"lines.{name}.disclosure", line.disclosure


def problem_of(
    name: str, settings: Settings, config: LineConfig, *, speaks: bool, has_asset: bool
) -> str:
    """Return why a line cannot speak its disclosure, naming the setting; empty if it can or need not."""
    line = settings.lines.get(name)
    section, disclosure = place_of(name, line, settings)
    if section == "disclosure" and not has_machine(line, config):
        return ""
    found = unspeakable(section, disclosure, speaks=speaks, has_asset=has_asset)
    return f"{found} (line {name})" if found and section == "disclosure" else found


def warning_of(name: str, settings: Settings, config: LineConfig) -> str:
    """Return a warning for a line that has a machine but no disclosure; empty for others."""
    line = settings.lines.get(name)
    if place_of(name, line, settings)[1].is_set or not has_machine(line, config):
        return ""
    return (
        f"lines.{name}: callers hear an agent or a model, and are not told that it is a machine; set "
        f"[lines.{name}.disclosure] (docs/disclosure.md)"
    )


class DisclosureChecks:
    """Checks the disclosures of lines, at the start and when a line's settings change."""

    def __init__(
        self,
        settings: Settings,
        lines: Lines,
        assets: Assets,
        *,
        demonstrations: Collection[LineName],
    ) -> None:
        """The `demonstrations` are lines that speak without a provider and introduce themselves as machines."""
        self._settings = settings
        self._lines = lines
        self._assets = assets
        self._demonstrations = demonstrations

    async def run(self) -> None:
        """Warn about machines without a disclosure; to be awaited once the lines are loaded.

        Raises:
            SettingsError: a line cannot speak its disclosure.
        """
        for name in self._settings.lines:
            line, config = LineName(name), self._lines.config(LineName(name))
            if warning := warning_of(name, self._settings, config):
                log.warning("disclosure.missing", extra={"line": name, "why": warning})
            has_asset = await self._has_asset(line)
            speaks = bool(config.tts_url)
            found = problem_of(name, self._settings, config, speaks=speaks, has_asset=has_asset)
            if found:
                raise SettingsError(found)

    def check(self, line: LineName, config: LineConfig) -> None:
        """Check that a line with this configuration could speak its disclosure.

        Raises:
            InvalidRequest: it could not, for lack of a text-to-speech provider.
        """
        if line in self._demonstrations or config.tts_url:
            return
        known = self._settings.lines.get(line)
        _, disclosure = place_of(line, known, self._settings)
        needed = has_machine(known, config) or self._lines.stored(line).tts_url
        if disclosure.text and not disclosure.asset and needed:
            raise InvalidRequest(
                "callTtsUrl: required to speak the disclosure text of this line (lines.NAME.disclosure in the settings)",
                field="callTtsUrl",
            )

    async def _has_asset(self, line: LineName) -> bool:
        asset = place_of(line, self._settings.lines.get(line), self._settings)[1].asset
        if not asset.startswith(ASSET):
            return True  # a file, which reading the settings has found
        try:
            await self._assets.find(line, asset)
        except NotFound:
            return False
        return True
