"""The compiled packet path for tests, and which path those of rtp/ and rtc/ take."""

import os
from collections.abc import Callable
from functools import cache

from bridge.audio.opus import Opus
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.packet_path_library import Library, Unavailable, load

PATHS = ("compiled", "python")
CHOSEN = "TEST_PACKET_PATH"
"""Environment variable with one of `PATHS`, set by the fixture `path` of tests/rtp and tests/rtc."""


@cache
def library() -> Library:
    """Load the library that `make test` has built."""
    found = load(compiled=True)
    assert not isinstance(found, Unavailable), (
        f"{found.reason}: python -m bridge.rtc.packet_path_build"
    )
    return found


def packet_path(opus: Opus, clock: Callable[[], float]) -> PacketPath | None:
    """Make a packet path, unless the test takes Python's; to be closed after its peers."""
    if os.environ.get(CHOSEN) == "python":
        return None
    return PacketPath(library(), opus, clock=clock)
