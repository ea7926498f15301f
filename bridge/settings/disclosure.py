"""Settings of disclosures: what callers are told before they hear a machine."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError
from bridge.settings.section import Section

MAX_LETTERS: Final = 1000
"""About a minute of speech."""
ASSET: Final = "asset_"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")

Road = Literal["agent", "realtime", "socket", "native", "twilio"]


class Disclosure(Section, frozen=True):
    """What persons in a call are told before they hear a machine."""

    text: Annotated[str, Meta(max_length=MAX_LETTERS)] = ""
    """Spoken by the line's text-to-speech provider (`callTtsUrl`) if `asset` is empty or not available."""
    asset: str = ""
    """A recording of it: an asset of the line (`asset_…`), or a file below `media.root`."""
    language: str = "en"
    """Its language, a tag such as `de` or `pt-BR`; a field of the event `disclosure.spoken`."""
    for_: list[Road] = msgspec.field(name="for", default_factory=lambda: ["agent", "realtime"])
    """Machines that are heard only after it: `agent` (the bridge's own), `realtime` (speech-to-speech models), `socket` (media sockets),
    `native` and `twilio` (two-way streams of these protocols). Other sockets and streams, and WebRTC and LiveKit bots, count as machines if the
    request that starts them says `machine`."""

    @property
    def is_set(self) -> bool:
        """Whether there is a disclosure."""
        return bool(self.text or self.asset)


def check_disclosure(
    section: str, disclosure: Disclosure, media_root: Path, *, of_line: bool = True
) -> None:
    """Refuse a missing file and an invalid language tag (`SettingsError`)."""
    asset = disclosure.asset
    if asset.startswith(ASSET):
        if not of_line:
            raise SettingsError(
                f"{section}.asset: an asset belongs to a line; name it in lines.NAME.disclosure, or a sound file here"
            )
    elif asset and not (media_root / asset).is_file():
        raise SettingsError(f"{section}.asset: there is no sound file at {media_root / asset}")
    if not _LANGUAGE.fullmatch(disclosure.language):
        raise SettingsError(f"{section}.language: expected a language tag such as de or pt-BR")


def unspeakable(section: str, disclosure: Disclosure, *, speaks: bool, has_asset: bool) -> str:
    """Return why a line cannot speak it, naming the setting; empty if it can.

    `speaks` says whether the line has a text-to-speech provider, `has_asset` whether its asset is there.
    """
    if disclosure.asset and not has_asset:
        return f"{section}.asset: the line has no asset {disclosure.asset}"
    if disclosure.text and not disclosure.asset and not speaks:
        return (
            f"{section}.text: the line has no text-to-speech provider to speak it: set callTtsUrl first (PUT /call/config, then "
            f"reconnect), or {section}.asset"
        )
    return ""
