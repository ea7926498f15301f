"""The SIP trunks: what is set for them, whether they answer, and whether they take the registration."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from bridge import __version__
from bridge.app.sip import make_agent, run, trunks_of
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.cli.doctor.running import trunks_down
from bridge.errors import SettingsError
from bridge.metrics.registry import Metrics
from bridge.providers.sip.trunks import Trunk
from bridge.settings.model import LineSip, Settings
from bridge.tasks import Tasks
from bridge.trunk.trunks import TrunkHealth

SIP: Final = "sip"
ANSWER_SECONDS: Final = 12.0
"""How long a trunk has to answer OPTIONS and REGISTER."""


async def check_sip(around: Surroundings) -> list[Finding]:
    """Ask every trunk whether it is there, and register there unless the bridge that runs does."""
    settings = around.settings
    lines = {name: line.sip for name, line in settings.lines.items() if line.sip is not None}
    if not lines:
        return [ok("no line has a trunk")]
    found = [finding for name, sip in lines.items() for finding in evaluate(settings, name, sip)]
    try:
        health = await _ask(settings, running=around.running)
    except SettingsError as error:
        fix = "is the port taken by another program, or below 1024?"
        return [*found, failed(str(error), setting="sip.listen", fix=fix)]
    found.extend(evaluate_health(name, one) for name, one in health.items())
    if around.running:
        silent = sum(not one.reachable for one in health.values())
        found.extend(evaluate_running(await trunks_down(settings, around.http) - silent))
    return found


def evaluate(settings: Settings, name: str, sip: LineSip) -> Iterator[Finding]:
    """Yield what the settings of a trunk leave impossible, or open."""
    section = f"lines.{name}.sip"
    if not sip.allow_prefixes:
        yield warning(
            f"line {name} may call no number",
            setting=f"{section}.allow_prefixes",
            fix="list the prefixes of the numbers that may be called",
        )
    if not (sip.register or settings.sip.listen):
        yield warning(
            f"line {name} takes no calls: it neither registers nor does the bridge listen",
            setting="sip.listen",
            fix=f"set sip.listen, or {section}.register",
        )
    elif not (sip.register or sip.trusted or settings.sip.trusted or sip.inbound_password):
        yield warning(
            f"line {name} takes no calls: no network is trusted, and no password is set",
            setting="sip.trusted",
            fix="name the networks of the trunk, or set inbound_username and inbound_password",
        )
    if sip.srtp != "off" and not sip.trunk.startswith("sips:") and "transport=tls" not in sip.trunk:
        yield warning(
            f"line {name}: its SRTP keys are sent in SIP messages without encryption",
            setting=f"{section}.trunk",
            fix="add ;transport=tls",
        )


def evaluate_health(name: str, health: TrunkHealth) -> Finding:
    """Return how a trunk answered."""
    section = f"lines.{name}.sip"
    if health.registered is False:
        return failed(
            f"line {name}: {health.last_error}",
            setting=f"{section}.username, password, realm",
            fix="compare them with what the operator of the trunk gave you",
        )
    if not health.reachable:
        why = f": {health.last_error}" if health.last_error else ""
        return failed(
            f"line {name}: the trunk does not answer{why}",
            setting=f"{section}.trunk",
            fix="is the address right, and does a firewall let SIP out and its answers in?",
        )
    registered = " and takes the registration" if health.registered else ""
    return ok(f"line {name}: the trunk answers{registered}")


def evaluate_running(refused: int) -> Iterator[Finding]:
    """Yield what the bridge that runs finds of trunks that answer us: it alone registers."""
    if refused > 0:
        what = "1 trunk that answers" if refused == 1 else f"{refused} trunks that answer"
        yield failed(
            f"the bridge that runs is not registered at {what}",
            setting="lines.NAME.sip.username, password, realm",
            fix="its log (sip.trunk_down) and /console name the line and the reason",
        )


async def _ask(settings: Settings, *, running: bool) -> dict[str, TrunkHealth]:
    """Return how each trunk answers; the ports of `sip.listen` are left to a bridge that runs."""
    trunks, metrics = trunks_of(settings, register=not running), Metrics(version=__version__).sip
    agent = make_agent(settings, trunks, metrics=metrics, listens=not running)
    tasks, answered = Tasks(), asyncio.Event()
    agent.trunks.on_change = lambda _name, _health: answered.set()
    try:
        await run(agent, trunks, tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while any(_is_open(agent.trunks.health(each), trunks[each]) for each in trunks):
                    await answered.wait()
                    answered.clear()
        return {name: agent.trunks.health(name) for name in trunks}
    finally:
        await tasks.aclose()


def _is_open(health: TrunkHealth, trunk: Trunk) -> bool:
    """Whether a trunk has yet to answer."""
    registers = trunk.address.register_seconds > 0
    return health.reachable is None or (registers and health.registered is None)
