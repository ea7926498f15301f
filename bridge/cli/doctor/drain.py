"""How long calls may go on after SIGTERM, against how long the machine's supervisor waits."""

import asyncio
import os
import re
from typing import Final

from bridge.cli.doctor.findings import Finding, ok, warning
from bridge.cli.doctor.runner import Surroundings

SETTING: Final = "limits.drain_seconds"
END_SECONDS: Final = 60.0
"""What the last calls need to be ended properly, and the files in deploy/ give."""
UNITS: Final = ("bridge.service", "media-bridge.service", "webrtc-media-bridge.service")
"""Names of systemd units that may be the bridge's; the first is that of deploy/systemd."""
ANSWER_SECONDS: Final = 5.0
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN: Final = re.compile(r"([0-9.]+)(us|ms|s|min|h|d|w)")
_KILL_MODES: Final = ("mixed", "process")
"""Of systemd: the supervisor alone gets SIGTERM, and passes it on in its own way."""


async def check_drain(around: Surroundings) -> list[Finding]:
    """Compare `limits.drain_seconds` with the stop time of systemd's unit; Kubernetes does not tell its own."""
    seconds = around.settings.limits.drain_seconds
    if not seconds:
        return [ok("limits.drain_seconds is 0: SIGTERM ends live calls at once")]
    needed = seconds + END_SECONDS
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        text = f"terminationGracePeriodSeconds of the pod must be at least {needed:.0f}"
        return [ok(f"{_goes_on(seconds)}; {text}, which cannot be seen from here")]
    found = [evaluate(unit, text, seconds) for unit in UNITS if (text := await _show(unit))]
    return found or [ok(f"{_goes_on(seconds)}; whatever stops it must wait for {needed:.0f} s")]


def evaluate(unit: str, properties: str, seconds: float) -> Finding:
    """Return whether a unit leaves calls the time that the settings give; `properties` are systemctl's."""
    known = dict(line.partition("=")[::2] for line in properties.splitlines())
    stop, mode = known.get("TimeoutStopUSec", ""), known.get("KillMode", "")
    needed = seconds + END_SECONDS
    if span(stop) < needed:
        return warning(
            f"{_goes_on(seconds)}, but systemd kills {unit} after {stop}",
            setting=SETTING,
            fix=f"set TimeoutStopSec={needed:.0f} in the unit, as deploy/systemd has it, or lower "
            "limits.drain_seconds",
        )
    if mode not in _KILL_MODES:
        return warning(
            f"{_goes_on(seconds)}, but systemd sends SIGTERM to every process of {unit} (KillMode={mode})",
            fix="set KillMode=mixed in the unit, as deploy/systemd has it",
        )
    return ok(f"{_goes_on(seconds)}, and systemd waits for {unit} for {stop}")


def span(text: str) -> float:
    """Return the seconds of a time span as systemctl prints it, such as `1h 1min`."""
    if text == "infinity":
        return float("inf")
    return sum(float(count) * _SECONDS[unit] for count, unit in _SPAN.findall(text))


def _goes_on(seconds: float) -> str:
    return f"calls go on for up to {seconds:.0f} s after SIGTERM"


async def _show(unit: str) -> str:
    """Return a unit's properties; "" without systemd, or without the unit."""
    properties = ("LoadState", "TimeoutStopUSec", "KillMode")
    try:
        process = await asyncio.create_subprocess_exec(
            *("systemctl", "show", unit, f"--property={','.join(properties)}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    text = printed.decode(errors="replace")
    return text if "LoadState=loaded" in text else ""
