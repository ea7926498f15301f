"""The S3 bucket for recordings: an object is put, read and deleted."""

import asyncio
import secrets
import tempfile
from pathlib import Path
from typing import Final

from bridge.cli.doctor.findings import Finding, failed, ok
from bridge.cli.doctor.runner import Surroundings
from bridge.errors import NotFound, StoreFailed
from bridge.http.object_store import Account, Bucket
from bridge.settings.model import S3

CHECK: Final = "s3"
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


async def check_s3(around: Surroundings) -> list[Finding]:
    """Put an object, read it and delete it."""
    s3 = around.settings.recording.s3
    if not s3.bucket:
        return [ok(CHECK, "recording.s3.bucket is empty: recordings stay on the disk")]
    return [await try_bucket(s3)]


async def try_bucket(s3: S3, *, request_seconds: float = REQUEST_SECONDS) -> Finding:
    """Put an object, read it and delete it; say what failed."""
    account = Account(s3.bucket, s3.region, s3.endpoint, s3.access_key, s3.secret_key)
    bucket = Bucket(account, request_seconds=request_seconds)
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
        return judge(s3.bucket, step, "other", "the object that was put is not there")
    except StoreFailed as error:
        return judge(s3.bucket, step, error.reason, str(error))
    if read != content:
        return judge(s3.bucket, "get", "other", "the object has another content")
    return ok(CHECK, f"an object was put into the bucket {s3.bucket}, read and deleted")


def judge(bucket: str, step: str, reason: str, text: str) -> Finding:
    """Return what a failure of the store means."""
    setting, fix = _FIXES.get(reason, _OTHER)
    return failed(CHECK, f"{step} in the bucket {bucket}: {text}", setting=setting, fix=fix)


async def _put(bucket: Bucket, key: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        path = Path(folder) / "object"
        await asyncio.to_thread(path.write_bytes, content)
        await bucket.put(key, path, "application/octet-stream")
