"""Cut sound that comes in pieces of any length into frames."""

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES


class Framer:
    """Collects pieces of one timeline and gives whole frames; holes are filled with silence."""

    __slots__ = ("_pts", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._pts = 0

    @property
    def empty(self) -> bool:
        """Whether no sound waits for the rest of its frame."""
        return not self._rest

    def reset(self) -> None:
        """Forget what waits: a new timeline begins."""
        self._rest = b""

    def add(self, pcm: bytes, pts: int) -> list[tuple[bytes, int]]:
        """Take a piece and give the frames that are now whole, each with its position.

        A piece that leaves a hole gets silence before it: up to the end of the frame that was
        begun; a longer hole shows as a jump between two positions, which never overlap.

        Args:
            pcm: 16-bit samples at 16 kHz, any number.
            pts: Position of the first, in samples; not before the end of the last piece.
        """
        rest = self._rest
        frames: list[tuple[bytes, int]] = []
        if rest:
            hole = 2 * (pts - self._pts) - len(rest)
            if hole > 0:
                rest += bytes(min(hole, FRAME_BYTES - len(rest)))
            if len(rest) == FRAME_BYTES:
                frames.append((rest, self._pts))
                rest = b""
        if rest:
            pcm = rest + pcm
            pts = self._pts
        whole = len(pcm) // FRAME_BYTES
        for index in range(whole):
            start = index * FRAME_BYTES
            frames.append((pcm[start : start + FRAME_BYTES], pts + index * FRAME_SAMPLES))
        self._rest = pcm[whole * FRAME_BYTES :]
        self._pts = pts + whole * FRAME_SAMPLES
        return frames
