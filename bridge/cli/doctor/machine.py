"""What the machine offers: libopus, the compiled packet path, open files and the disk."""

import asyncio
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from bridge.audio.codec import opus
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.http.listener import raise_descriptor_limit
from bridge.media.disk_space import DiskSpace
from bridge.rtc.packet_path_build import COMPILER_PACKAGES
from bridge.rtc.packet_path_library import NOT_LINUX, TURNED_OFF, Library, Unavailable, load
from bridge.rtc.packet_poller import Scheduling, try_thread
from bridge.settings.model import Settings

PACKET_PATH_FIX: Final = (
    f"with a C compiler ({COMPILER_PACKAGES}), `make run` builds it, or "
    f"`{sys.executable} -m bridge.rtc.packet_path_build`; then restart the bridge"
)
THREADS: Final = {
    "usual": "as any thread: a kernel of Linux 6.12 or later would run it sooner after it wakes",
    "slice": "with a short slice, so that it runs soon after it wakes",
    "realtime": "before all other threads (SCHED_FIFO)",
}
"""By `SCHEDULING` of its metrics."""
REALTIME_FIX: Final = "allow it: `LimitRTPRIO=1` in the systemd unit, `--cap-add SYS_NICE` and `--ulimit rtprio=1` in a container"
FILES_PER_CALL: Final = 6
"""Two media sockets, a client's connections, a stream, recordings."""
OTHER_FILES: Final = 128
SYNCS: Final = 15
SLOW_SYNC_SECONDS: Final = 0.05
"""Events of a call are published once they are on disk."""
BLOCK: Final = b"\0" * 4096
_MB: Final = 1_000_000


async def check_opus(_: Surroundings) -> list[Finding]:
    """Load libopus."""
    library = opus.load(opus.candidates(os.environ.get("OPUS_LIB")))
    return [ok(f"{library.version}, {library.path}")]


async def check_packet_path(around: Surroundings) -> list[Finding]:
    """Load the compiled packet path, and see how its thread is scheduled."""
    rtc = around.settings.rtc
    found = load(compiled=rtc.compiled)
    findings = [evaluate_packet_path(found)]
    if isinstance(found, Library) and rtc.media_thread:
        wanted = Scheduling(thread=True, tick_ms=rtc.tick_ms, realtime=rtc.realtime)
        findings.append(evaluate_media_thread(await try_thread(found, wanted), wanted))
    return findings


def evaluate_media_thread(mode: str, wanted: Scheduling) -> Finding:
    """Return how the media thread is scheduled, and what to do where it is not as the settings want it."""
    text = f"the media thread runs {THREADS[mode]}"
    if wanted.realtime and mode != "realtime":
        return warning(text, setting="rtc.realtime", fix=REALTIME_FIX)
    return ok(text)


def evaluate_packet_path(found: Library | Unavailable) -> Finding:
    """Return which path packets take, and what to do where the compiled one is wanted and not there."""
    if isinstance(found, Library):
        return ok(f"packets take the compiled path, {found.path}")
    text = f"packets take the Python path, which carries fewer calls: the compiled one is {found.reason}"
    if found.reason in {TURNED_OFF, NOT_LINUX}:
        return ok(text)
    return warning(text, setting="rtc.compiled", fix=PACKET_PATH_FIX)


async def check_open_files(around: Surroundings) -> list[Finding]:
    """Compare the limit of open files with what the calls may need."""
    available = raise_descriptor_limit()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [evaluate_open_files(available, hard, around.settings.limits.calls)]


def evaluate_open_files(available: int, hard: int, calls: int) -> Finding:
    """Return whether so many calls can be carried with the limit of open files."""
    needed = OTHER_FILES + FILES_PER_CALL * calls
    if available >= needed:
        return ok(f"the process may open {available} files; {calls} calls need {needed}")
    return warning(
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
                f"{there} cannot be written: {error.strerror}",
                setting="data.dir",
                fix="make the user who runs the bridge its owner (chown), or run the doctor as that user",
            )
        ]
    shown = str(folder) if there == folder else f"{folder} (not there yet)"
    return [
        evaluate_space(shown, free / _MB, settings.recording.min_free_mb),
        evaluate_sync(seconds),
    ]


def evaluate_space(folder: str, free_mb: float, min_free_mb: float) -> Finding:
    """Return whether there is space for recordings."""
    text = f"{free_mb / 1000:.1f} GB are free for {folder}"
    if free_mb < min_free_mb:
        return failed(
            f"{text}: less than recording.min_free_mb ({min_free_mb:.0f}), so nothing is recorded",
            setting="recording.min_free_mb, recording.kept_days, data.dir",
            fix="free space, keep recordings for a shorter time (recording.kept_days), or move data.dir",
        )
    if free_mb < 2 * min_free_mb:
        return warning(
            f"{text}; below {min_free_mb:.0f} MB recordings stop",
            setting="recording.kept_days, data.dir",
            fix="free space, keep recordings for a shorter time (recording.kept_days), or move data.dir",
        )
    return ok(text)


def evaluate_sync(seconds: float) -> Finding:
    """Return whether the disk is fast enough for the database, which waits for it."""
    text = f"a write is on disk after {seconds * 1000:.1f} ms"
    if seconds < SLOW_SYNC_SECONDS:
        return ok(text)
    return warning(
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
