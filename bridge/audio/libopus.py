"""Locating libopus.

The library bundled with PyAV comes first: it is a Python dependency, so no system package is needed
and every machine runs the same version. The system's library is the second choice.
"""

import importlib.util
from pathlib import Path

SYSTEM_NAME = "libopus.so.0"


def candidates(given: str | None = None) -> tuple[str, ...]:
    """Return the libraries for `bridge.audio.opus.load` to try; only `given` if that is set."""
    if given:
        return (given,)
    return (*_bundled(), SYSTEM_NAME)


def _bundled() -> list[str]:
    # `av` itself is not imported: it would load all of FFmpeg.
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent.with_name("av.libs")
    return sorted(str(path) for path in folder.glob("libopus-*.so*"))
