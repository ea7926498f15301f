"""Speech to say in tests."""

from pathlib import Path

from tests.support.peers.stock_peer import Pcm, read_wav

_FOLDER = Path(__file__).parent / "speech"

SPEECH = sorted(_FOLDER.glob("*.wav"))
"""Recordings of three voices."""

TALKING = Path(__file__).parents[3] / "bridge" / "legs" / "simulator_speech.wav"
"""What the talking contact says."""


def words(voice: int = 0, seconds: float | None = None) -> Pcm:
    """Return what a voice says, or the beginning of it."""
    pcm = read_wav(SPEECH[voice])
    return pcm if seconds is None else pcm[: int(seconds * 16_000)]
