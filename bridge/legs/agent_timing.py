"""Reply latency of an agent, by step."""

from collections.abc import Callable

from bridge.call.model import ReplyTiming


class Stopwatch:
    """Times a turn of the agent: each step to its first result, and the total to the first audio."""

    def __init__(self, step_took: Callable[[str, float], None]) -> None:
        self._step_took = step_took
        self._began: float | None = None
        self._last = 0.0
        self._laps: dict[str, float] = {}

    def restart(self, now: float) -> None:
        """Begin a turn: the caller has finished."""
        self._began = self._last = now
        self._laps.clear()

    def lap(self, step: str, now: float, *, since: float | None = None) -> None:
        """Record the first result of a step (`stt`, `llm`, `tts`); later ones of the turn are ignored.

        The step began at `since`, or where the previous one ended.
        """
        if step in self._laps:
            return
        self._laps[step] = now - (self._last if since is None else since)
        self._last = now
        self._step_took(step, self._laps[step])

    def spoke(self, now: float) -> ReplyTiming | None:
        """Record the first audio of the turn; return its timing once per turn."""
        if self._began is None:
            return None
        total, self._began = now - self._began, None
        if "stt" in self._laps:
            self._step_took("total", total)
        overhead = max(0.0, total - sum(self._laps.values()))
        return ReplyTiming(now, total, overhead, dict(self._laps))


def in_milliseconds(timing: ReplyTiming) -> dict[str, int]:
    """Return a timing as in events."""
    seconds = {**timing.steps, "firstAudio": timing.first_audio, "overhead": timing.overhead}
    return {f"{name}Ms": round(took * 1000) for name, took in seconds.items()}
