"""Settings of a line's media streams."""

from pathlib import Path
from typing import Final, Literal

from bridge.errors import SettingsError
from bridge.settings.section import Secret, Section

MIN_SECRET_CHARACTERS: Final = 20


class Stream(Section, frozen=True):
    """The media streams from a line's calls to customers' WebSockets."""

    secret: Secret = ""
    """Signs the WebSocket handshakes, so that your server can verify that they come from this bridge: a long random text
    (`openssl rand -hex 32`). To `twilio` servers it is the auth token. Empty: they are not signed."""
    former_secret: Secret = ""
    """While `secret` is changed, the one before; it signs too, except in `X-Twilio-Signature`, which holds only one signature."""
    fallback: Literal["hangup", "agent", "announcement"] = "hangup"
    """What happens to a call that was answered into a stream (`callInboundMode: "stream"`) when the stream cannot be
    connected or is lost: `hangup` ends it, `agent` gives it to the line's agent, `announcement` plays `announcement`
    and ends it."""
    announcement: str = ""
    """Sound file of `fallback = "announcement"` (below `media.root` unless its path is absolute)."""


def check_stream(section: str, stream: Stream, media_root: Path) -> None:
    """Refuse secrets that can be guessed, and an announcement that is not there (`SettingsError`)."""
    for key, secret in (("secret", stream.secret), ("former_secret", stream.former_secret)):
        if secret and len(secret) < MIN_SECRET_CHARACTERS:
            raise SettingsError(
                f"{section}.{key}: has fewer than {MIN_SECRET_CHARACTERS} characters; make one with "
                "`openssl rand -hex 32`"
            )
    if stream.former_secret and not stream.secret:
        raise SettingsError(f"{section}.former_secret: has no effect without {section}.secret")
    if stream.fallback == "announcement" and not stream.announcement:
        raise SettingsError(f'{section}.announcement: needed with fallback = "announcement"')
    if stream.announcement and not (media_root / stream.announcement).is_file():
        raise SettingsError(
            f"{section}.announcement: there is no sound file at {media_root / stream.announcement}"
        )
