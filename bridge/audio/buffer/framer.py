"""Cut audio that arrives in pieces of any length into frames."""

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES


class Framer:
    """Assembles the pieces of one media epoch into whole frames; gaps are filled with silence."""

    __slots__ = ("_pts", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._pts = 0

    @property
    def empty(self) -> bool:
        """Whether no partial frame is buffered."""
        return not self._rest

    def reset(self) -> None:
        """Drop the partial frame: a new media epoch begins."""
        self._rest = b""

    def add(self, pcm: bytes, pts: int) -> list[tuple[bytes, int]]:
        """Add a piece and return the frames that are now complete, each with its position.

        A gap is filled with silence up to the end of the partial frame; a longer one is a jump
        between two positions. `pts` is not before the end of the previous piece.
        """
        rest = self._rest
        frames: list[tuple[bytes, int]] = []
        if rest:
            gap = 2 * (pts - self._pts) - len(rest)
            if gap > 0:
                rest += bytes(min(gap, FRAME_BYTES - len(rest)))
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
