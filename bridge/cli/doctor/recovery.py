"""What becomes of live calls when a process of the bridge dies: whether a spare waits to go on with them."""

import asyncio
from pathlib import Path
from typing import Final

from bridge.cli.control import ask
from bridge.cli.doctor.findings import Finding, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.cluster.memory_limit import MIN_FOR_SPARE, memory_limit
from bridge.errors import SetupError
from bridge.wire.supervision import Failed, Inspect, Reply, Spares

SETTING: Final = "recovery.spare"


async def check_recovery(around: Surroundings) -> list[Finding]:
    """Ask the supervisor that runs, or say what one would do here."""
    recovery = around.settings.recovery
    if not recovery.enabled:
        return [ok("recovery.enabled is false: calls end with the process that carries them")]
    if around.running:
        reply = await asyncio.to_thread(_inspect, Path(around.settings.data.dir))
        return [evaluate(reply, wanted=recovery.spare)]
    limit = memory_limit()
    if recovery.spare and limit is not None and limit < MIN_FOR_SPARE:
        return [_short(f"{limit >> 20} MiB of memory are allowed")]
    what = "a spare process waits" if recovery.spare else "a process is started"
    return [ok(f"under a supervisor (--supervised, or nodes above 1) {what} for a node that dies")]


def evaluate(reply: Reply | None, *, wanted: bool) -> Finding:
    """Return what the bridge's answer means; None if it gave none."""
    match reply:
        case Spares(ready=0, why_not=""):
            return warning(
                "no spare process is ready: calls of a node that dies are silent until one has started",
                setting=SETTING,
                fix="wait until it has started; if it does not, the log says why (spare.failed, spare.lost)",
            )
        case Spares(ready=0, why_not=why_not) if wanted:
            return _short(why_not)
        case Spares(ready=0, why_not=why_not):
            return ok(f"no spare process is kept: {why_not}")
        case Spares(ready=ready, memory=memory):
            return ok(
                f"{ready} spare process waits for a node that dies, and takes {memory / 1e6:.0f} MB"
            )
        case Failed(text=text):
            return ok(f"calls end with the process that carries them: {text}")
    return ok("the bridge that runs does not say whether a spare process is ready")


def _short(why: str) -> Finding:
    return warning(
        f"no spare process is kept: {why}",
        setting=SETTING,
        fix=f"allow {MIN_FOR_SPARE >> 20} MiB or more, or set recovery.spare to false",
    )


def _inspect(data: Path) -> Reply | None:
    try:
        return next(ask(data, Inspect()), None)
    except SetupError:
        return None
