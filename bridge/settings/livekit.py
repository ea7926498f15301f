"""Settings of the tokens that LiveKit's server SDKs make for a line's calls."""

from collections.abc import Mapping
from typing import Final

from bridge.errors import SettingsError
from bridge.settings.section import Secret, Section

MIN_SECRET_CHARACTERS: Final = 20


class LiveKit(Section, frozen=True):
    """How tokens of LiveKit's server SDKs are recognized; the bridge's own tickets need no settings."""

    api_key: Secret = ""
    """The API key that tokens name as their issuer (`iss`): any text that no other line has."""
    api_secret: Secret = ""
    """What LiveKit's server SDKs sign tokens with: a long random text (`openssl rand -hex 32`)."""


def check_livekit(section: str, livekit: LiveKit) -> None:
    """Refuse one without the other, and a secret that can be guessed (`SettingsError`)."""
    for key, other in (("api_key", "api_secret"), ("api_secret", "api_key")):
        if getattr(livekit, key) and not getattr(livekit, other):
            raise SettingsError(f"{section}.{other}: needed with {section}.{key}")
    if livekit.api_secret and len(livekit.api_secret) < MIN_SECRET_CHARACTERS:
        raise SettingsError(
            f"{section}.api_secret: has fewer than {MIN_SECRET_CHARACTERS} characters; make one with "
            "`openssl rand -hex 32`"
        )


def check_api_keys(lines: Mapping[str, LiveKit]) -> None:
    """Refuse an API key of two lines, whose tokens could be for either (`SettingsError`); `lines` is by name."""
    seen: dict[str, str] = {}
    for name, livekit in lines.items():
        if livekit.api_key and livekit.api_key in seen:
            raise SettingsError(
                f"lines.{name}.livekit.api_key: is that of lines.{seen[livekit.api_key]} too"
            )
        seen[livekit.api_key] = name
