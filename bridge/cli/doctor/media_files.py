"""Sound files that the settings name, which every machine must have for itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridge.call.model import LineName
from bridge.cli.doctor.findings import Finding, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.media.folder import own_folder
from bridge.node.voicemail.greetings import ASSET, URLS
from bridge.settings.model import Settings

CHECK: Final = "media"


async def check_media_files(around: Surroundings) -> list[Finding]:
    """Look for the files of hold music, greetings, announcements and `recording.consent`; say what machines do not share."""
    settings = around.settings
    named = dict(named_files(settings))
    missing = {
        key: name
        for key, name in named.items()
        if not any((folder / name).is_file() for folder in _folders(settings, key))
    }
    found = [_missing(settings, key, name) for key, name in missing.items()]
    if settings.data.url and not settings.recording.s3.bucket:
        found.append(
            warning(
                CHECK,
                "recordings and audio assets stay on the machine that has made them: no other can read "
                "them while it is down",
                setting="recording.s3.bucket",
                fix="set a bucket, and recording.s3.live if recordings shall survive a lost disk",
            )
        )
    return found or [ok(CHECK, _all_here(len(named)))]


def named_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each setting that names a file below `media.root`, and the name."""
    if settings.recording.consent not in ("none", "beep"):
        yield "recording.consent", settings.recording.consent
    for line, wanted in settings.lines.items():
        if wanted.hold_music:
            yield f"lines.{line}.hold_music", wanted.hold_music
        if wanted.stream.announcement:
            yield f"lines.{line}.stream.announcement", wanted.stream.announcement
        greeting = wanted.voicemail.greeting
        if greeting and not greeting.startswith((ASSET, *URLS)):
            yield f"lines.{line}.voicemail.greeting", greeting.removeprefix("files/")


def _folders(settings: Settings, key: str) -> list[Path]:
    """Return where the file of a setting may be; greetings are also found in their line's own folder."""
    root = settings.media_root
    owners = [name for name in settings.lines if key == f"lines.{name}.voicemail.greeting"]
    return [root, *(own_folder(root, LineName(name)) for name in owners)]


def _missing(settings: Settings, key: str, name: str) -> Finding:
    fix = f"put the file into {settings.media_root}, or correct the name"
    if settings.data.url:
        fix = f"put the file into {settings.media_root} of every machine: media.root is not shared"
    return warning(CHECK, f"the file {name} is not on this machine", setting=key, fix=fix)


def _all_here(count: int) -> str:
    return (
        f"all {count} sound files of the settings are here"
        if count
        else "the settings name no sound file"
    )
