"""Where sound is stored: the files that the settings name, and the S3 bucket for recordings."""

import asyncio
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridge.call.model import LineName
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.errors import NotFound, StoreFailed
from bridge.http.object_store import Bucket
from bridge.media.folder import own_folder
from bridge.node.voicemail.greetings import ASSET, URLS
from bridge.settings.model import S3, Settings

REQUEST_SECONDS: Final = 6.0
PREFIX: Final = "recordings/doctor-"
_FIXES: Final = {
    "denied": (
        "recording.s3.access_key, recording.s3.secret_key",
        "the keys need the rights to put, get and delete objects below recordings/ of the bucket, and with "
        "recording.s3.live to list them",
    ),
    "missing": ("recording.s3.bucket", "create the bucket, or correct its name"),
    "timeout": ("recording.s3.endpoint", "does a firewall drop the connections to the store?"),
    "unreachable": (
        "recording.s3.endpoint, recording.s3.region",
        "does the store run there, and is it the address of its S3 API?",
    ),
}
_OTHER: Final = ("recording.s3.endpoint", "look into the store's own log")


async def check_media_files(around: Surroundings) -> list[Finding]:
    """Look for the files of hold music, greetings, announcements and `recording.announcement`; say what machines do not share."""
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
                "recordings and audio assets stay on the machine that has made them: no other can read "
                "them while it is down",
                setting="recording.s3.bucket",
                fix="set a bucket, and recording.s3.live if recordings shall survive a lost disk",
            )
        )
    if found:
        return found
    count = len(named)
    return [
        ok(
            f"all {count} sound files of the settings are here"
            if count
            else "the settings name no sound file"
        )
    ]


def named_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each setting that names a file below `media.root`, and the name."""
    if settings.recording.announcement not in ("none", "beep"):
        yield "recording.announcement", settings.recording.announcement
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
    return warning(f"the file {name} is not on this machine", setting=key, fix=fix)


async def check_s3(around: Surroundings) -> list[Finding]:
    """Put an object, read it and delete it."""
    s3 = around.settings.recording.s3
    if not s3.bucket:
        return [ok("recording.s3.bucket is empty: recordings stay on the disk")]
    return [await try_bucket(s3)]


async def try_bucket(s3: S3, *, request_seconds: float = REQUEST_SECONDS) -> Finding:
    """Put an object, read it and delete it; say what failed."""
    bucket = Bucket(s3, request_seconds=request_seconds)
    key, content = f"{PREFIX}{secrets.token_hex(8)}", secrets.token_bytes(64)
    step = "put"
    try:
        await _put(bucket, key, content)
        step = "get"
        read = b"".join([piece async for piece in bucket.read(key, 0, len(content))])
        if s3.live:
            step = "list"
            await bucket.list(PREFIX)
        step = "delete"
        await bucket.delete(key)
    except NotFound:
        return evaluate(s3.bucket, step, "other", "the object that was put is not there")
    except StoreFailed as error:
        return evaluate(s3.bucket, step, error.reason, str(error))
    if read != content:
        return evaluate(s3.bucket, "get", "other", "the object has another content")
    return ok(f"an object was put into the bucket {s3.bucket}, read and deleted")


def evaluate(bucket: str, step: str, reason: str, text: str) -> Finding:
    """Return what a failure of the store means."""
    setting, fix = _FIXES.get(reason, _OTHER)
    return failed(f"{step} in the bucket {bucket}: {text}", setting=setting, fix=fix)


async def _put(bucket: Bucket, key: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        path = Path(folder) / "object"
        await asyncio.to_thread(path.write_bytes, content)
        await bucket.put(key, path, "application/octet-stream")
