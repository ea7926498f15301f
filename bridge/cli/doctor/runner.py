"""Runs checks beside each other, each with a time limit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bridge.cli.doctor.findings import Finding, failed
from bridge.errors import BridgeError
from bridge.http.client import Http
from bridge.http.resolver import Dns
from bridge.settings.model import Settings

CHECK_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every check is given."""

    settings: Settings
    http: Http
    dns: Dns
    running: bool = False
    """Whether the bridge of these settings is running, so that its ports and its folder are in use."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check; it may have several findings."""

    name: str
    work: Callable[[Surroundings], Awaitable[Sequence[Finding]]]
    seconds: float = CHECK_SECONDS
    """It has failed when it takes longer."""
    exclusive: bool = False
    """Whether it begins only when the others have ended: it measures the CPU."""


async def run_checks(
    checks: Sequence[Check],
    surroundings: Surroundings,
    *,
    progress: Callable[[list[str]], None] = lambda waiting: None,
) -> list[Finding]:
    """Run all checks; return their findings in the order of `checks`.

    `progress` is called with the names of the checks that have not ended, at first and whenever one has.
    """
    waiting = [check.name for check in checks]
    found: dict[str, list[Finding]] = {}

    async def run(check: Check) -> None:
        found[check.name] = [
            msgspec.structs.replace(finding, check=finding.check or check.name)
            for finding in await _perform(check, surroundings)
        ]
        waiting.remove(check.name)
        progress(waiting)

    progress(waiting)
    async with asyncio.TaskGroup() as group:
        for check in checks:
            if not check.exclusive:
                group.create_task(run(check), name=f"check {check.name}")
    for check in checks:
        if check.exclusive:
            await run(check)
    return [finding for check in checks for finding in found[check.name]]


async def _perform(check: Check, surroundings: Surroundings) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(check.seconds):
            return await check.work(surroundings)
    except TimeoutError:
        text = f"no result within {check.seconds:.0f} s"
        return [failed(text, fix="is a firewall or a disk in the way?")]
    except (BridgeError, OSError) as error:
        return [failed(str(error), fix="see what the message names")]
    except Exception as error:
        # One check that breaks must not hide what the others found.
        text = f"the check itself broke ({type(error).__name__})"
        return [failed(text, fix="report this as a bug")]
