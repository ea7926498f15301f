"""What the machine offers: libopus, open files, the disk, and the database on it."""

import asyncio
import os
import resource
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from bridge.audio.codec import opus
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.postgres import check_postgres
from bridge.cli.doctor.runner import Surroundings
from bridge.db import sqlite
from bridge.http.listener import raise_descriptor_limit
from bridge.media.disk_space import DiskSpace
from bridge.settings.model import Settings

OPUS: Final = "opus"
FILES: Final = "open_files"
DISK: Final = "disk"
DATABASE: Final = "database"
FILES_PER_CALL: Final = 6
"""Two media sockets, a client's connections, a stream, recordings."""
OTHER_FILES: Final = 128
SYNCS: Final = 15
SLOW_SYNC_SECONDS: Final = 0.05
"""Events of a call are published once they are on disk."""
BLOCK: Final = b"\0" * 4096
LOCK_SECONDS: Final = 5.0
_MB: Final = 1_000_000


async def check_opus(_: Surroundings) -> list[Finding]:
    """Load libopus."""
    library = opus.load(opus.candidates(os.environ.get("OPUS_LIB")))
    return [ok(OPUS, f"{library.version}, {library.path}")]


async def check_open_files(around: Surroundings) -> list[Finding]:
    """Compare the limit of open files with what the calls may need."""
    available = raise_descriptor_limit()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [judge_open_files(available, hard, around.settings.limits.calls)]


def judge_open_files(available: int, hard: int, calls: int) -> Finding:
    """Return whether so many calls can be carried with the limit of open files."""
    needed = OTHER_FILES + FILES_PER_CALL * calls
    if available >= needed:
        return ok(FILES, f"the process may open {available} files; {calls} calls need {needed}")
    return warning(
        FILES,
        f"the process may open {available} files, but {calls} calls need {needed}",
        setting="limits.calls",
        fix=f"raise the hard limit, which is {hard} (LimitNOFILE of systemd, ulimits of Docker), or "
        "lower limits.calls",
    )


async def check_disk(around: Surroundings) -> list[Finding]:
    """Check that the data folder can be written, how fast, and how much space is left."""
    return await asyncio.to_thread(_check_disk, around.settings)


def _check_disk(settings: Settings) -> list[Finding]:
    folder = Path(settings.data.dir)
    there = existing(folder)
    try:
        seconds = sync_seconds(there)
        free = DiskSpace(there, 0).free_bytes()
    except OSError as error:
        return [
            failed(
                DISK,
                f"{there} cannot be written: {error.strerror}",
                setting="data.dir",
                fix="make the user who runs the bridge its owner (chown), or run the doctor as that user",
            )
        ]
    shown = str(folder) if there == folder else f"{folder} (not there yet)"
    return [
        judge_space(shown, free / _MB, settings.recording.least_free_mb),
        judge_sync(seconds),
    ]


def judge_space(folder: str, free_mb: float, least_free_mb: float) -> Finding:
    """Return whether there is space for recordings."""
    text = f"{free_mb / 1000:.1f} GB are free for {folder}"
    if free_mb < least_free_mb:
        return failed(
            DISK,
            f"{text}: less than recording.least_free_mb ({least_free_mb:.0f}), so nothing is recorded",
            setting="recording.least_free_mb, recording.kept_days, data.dir",
            fix="free space, keep recordings for a shorter time (recording.kept_days), or move data.dir",
        )
    if free_mb < 2 * least_free_mb:
        return warning(
            DISK,
            f"{text}; below {least_free_mb:.0f} MB recordings stop",
            setting="recording.kept_days, data.dir",
            fix="free space, keep recordings for a shorter time (recording.kept_days), or move data.dir",
        )
    return ok(DISK, text)


def judge_sync(seconds: float) -> Finding:
    """Return whether the disk is fast enough for the database, which waits for it."""
    text = f"a write is on disk after {seconds * 1000:.1f} ms"
    if seconds < SLOW_SYNC_SECONDS:
        return ok(DISK, text)
    return warning(
        DISK,
        f"{text}, which delays every event and webhook",
        setting="data.dir",
        fix="put data.dir on a local SSD, not on a network file system",
    )


def sync_seconds(folder: Path) -> float:
    """Return the median time of a write with fsync in a folder; nothing is left in it.

    Raises:
        OSError: the folder cannot be written.
    """
    times = []
    with tempfile.TemporaryFile(dir=folder, prefix=".doctor-") as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            file.write(BLOCK)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return median(times)


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next((one for one in (folder, *folder.absolute().parents) if one.is_dir()), folder)


async def check_database(around: Surroundings) -> list[Finding]:
    """Check that the database opens and can be written."""
    if around.settings.data.url:
        return await check_postgres(around.settings.data.url)
    return [await asyncio.to_thread(_check_database, Path(around.settings.data.dir))]


def _check_database(folder: Path) -> Finding:
    path = folder / sqlite.FILE
    if not path.exists():
        return ok(DATABASE, f"{path} will be created at the first start")
    try:
        tables = try_database(path)
    except sqlite3.Error as error:
        return failed(
            DATABASE,
            f"{path}: {error}",
            setting="data.dir",
            fix="is the file the bridge's, may its user write it, and is the disk full? Otherwise "
            "restore it from a backup",
        )
    return ok(
        DATABASE, f"{path} can be written ({tables} tables, {path.stat().st_size / _MB:.1f} MB)"
    )


def try_database(path: Path) -> int:
    """Write into the database, take it back, and return how many tables there are.

    Raises:
        sqlite3.Error: it is damaged, locked or cannot be written.
    """
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE doctor (written INTEGER)")
        connection.execute("INSERT INTO doctor VALUES (1)")
        connection.execute("ROLLBACK")
        count = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
        return int(count.fetchone()[0])
    finally:
        connection.close()
