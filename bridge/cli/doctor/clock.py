"""The machine's clock, compared with the services that the bridge uses."""

import asyncio
import ctypes
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Final

import aiohttp
from yarl import URL

from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.db.database import wall_time
from bridge.http.client import Http
from bridge.settings.model import Settings

ANSWER_SECONDS: Final = 6.0
ROUNDING: Final = 0.5
"""A Date header has whole seconds, cut off (RFC 9110 section 6.6.1)."""
LATE_SECONDS: Final = 5.0
WRONG_SECONDS: Final = 60.0
"""S3 refuses requests that are 15 minutes off, and TURN credentials are valid for `turn.ttl`."""
FIX: Final = "let the machine keep its clock by NTP (systemd-timesyncd, chrony)"
_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 512
"""More than `struct timex` has."""


async def check_clock(around: Surroundings) -> list[Finding]:
    """Compare the clock with the Date headers of the configured services."""
    origins = list(dict.fromkeys(origins_in(around.settings)))
    asked = await asyncio.gather(*(_offset(origin, around.http) for origin in origins))
    offsets = [offset for offset in asked if offset is not None]
    return [evaluate(offsets, synchronised=synchronised(), exposed=around.settings.http.exposed)]


def evaluate(offsets: list[float], *, synchronised: bool | None, exposed: bool) -> Finding:
    """Return whether the clock is right.

    `offsets` are by how many seconds services are ahead of this machine; `synchronised` is what the kernel
    says, None if it does not say.
    """
    if not offsets:
        if synchronised is False and exposed:
            return warning(
                "no configured service tells the time, and the kernel says that nothing keeps its "
                "clock",
                fix=FIX,
            )
        kept = "keeps its clock by NTP" if synchronised else "does not say that NTP keeps its clock"
        return ok(f"no configured service to compare with; the machine {kept}")
    offset = median(offsets)
    if abs(offset) < LATE_SECONDS:
        return ok(f"the clock agrees with {len(offsets)} configured services within 5 s")
    side = "behind" if offset > 0 else "ahead"
    level = failed if abs(offset) >= WRONG_SECONDS else warning
    return level(
        f"the clock is {abs(offset):.0f} s {side}; TURN credentials, signed links and S3 requests "
        "depend on it",
        fix=FIX,
    )


def origins_in(settings: Settings) -> Iterator[str]:
    """Yield the origins of the HTTP services in the settings."""
    urls = [settings.recording.s3.endpoint, settings.http.public_url]
    urls += [line.whatsapp.server[1] for line in settings.lines.values()]
    yield from (str(URL(url).origin()) for url in urls if url)


def synchronised() -> bool | None:
    """Return whether the kernel says that its clock is kept by NTP (adjtimex(2)); None if it does not say."""
    try:
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


async def _offset(origin: str, http: Http) -> float | None:
    """Return by how many seconds a server is ahead; None if it does not answer, or without a date."""
    limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    before = wall_time()
    try:
        async with http.trusted().head(
            origin, timeout=limit, allow_redirects=False, ssl=False
        ) as answer:
            date = parsedate_to_datetime(answer.headers.get("Date", ""))
    except (aiohttp.ClientError, OSError, ValueError, TypeError):
        return None
    return date.timestamp() + ROUNDING - (before + wall_time()) / 2
