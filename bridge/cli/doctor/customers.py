"""The URLs that clients have stored: webhooks, and the speech providers of agents.

They are reached as the bridge reaches them, address guard included. A webhook is asked with HEAD and without
its secrets, so that its receiver takes it for no event; a provider with HEAD and its token.
"""

import asyncio
from typing import Final

import aiohttp
import msgspec

from bridge.call.model import LineName
from bridge.cli.doctor import database
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.errors import AddressBlocked, BridgeError
from bridge.http.client import Http, origin_of
from bridge.node import lines
from bridge.stores import endpoints

WEBHOOKS: Final = "webhooks"
AGENTS: Final = "agents"
ANSWER_SECONDS: Final = 8.0
AT_ONCE: Final = 16
MAX_URLS: Final = 200
"""More are not tried."""
REFUSED: Final = (401, 403)
SERVER_ERROR: Final = 500


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A URL of a line."""

    line: str
    what: str
    url: str
    token: str = ""


async def check_webhooks(around: Surroundings) -> list[Finding]:
    """Ask every webhook's server whether it answers."""
    known = await asyncio.to_thread(database.read, around.settings.data, endpoints.all_active, [])
    targets = [Target(line=one.line, what="webhook", url=one.url) for one in known]
    if not targets:
        return [ok("no webhook is registered")]
    return await _try_all(WEBHOOKS, targets, around.http)


async def check_agents(around: Surroundings) -> list[Finding]:
    """Ask every speech provider whether it answers, and takes its token."""
    configs = await asyncio.to_thread(database.read, around.settings.data, lines.stored_configs, {})
    targets = [
        Target(line=name, what=what, url=url, token=config.provider_token)
        for name, config in configs.items()
        for what, url in (
            ("callSttUrl", config.stt_url),
            ("callLlmUrl", config.llm_url),
            ("callTtsUrl", config.tts_url),
        )
        if url
    ]
    if not targets:
        return [ok("no line has a speech provider")]
    return await _try_all(AGENTS, targets, around.http)


def evaluate(check: str, target: Target, answer: int | str) -> Finding:
    """Return what a status means, or why there is none."""
    place = f"{target.what} of line {target.line} ({origin_of(target.url)})"
    put = "PUT /call/config" if check == AGENTS else "the webhook's route"
    if isinstance(answer, str):
        return warning(
            f"{place}: {answer}",
            fix=f"is the URL right ({put}), does its server run, and can this machine reach it? For "
            "addresses that are not public see net.allow",
        )
    if check == AGENTS and answer in REFUSED:
        return failed(
            f"{place}: the provider refuses the token ({answer})",
            fix="set callProviderToken with PUT /call/config, then reconnect the line",
        )
    if answer >= SERVER_ERROR:
        return warning(f"{place}: it fails with {answer}", fix="look into its own log")
    return ok(f"{place}: it answers ({answer})")


async def _try_all(check: str, targets: list[Target], http: Http) -> list[Finding]:
    free = asyncio.Semaphore(AT_ONCE)

    async def ask(target: Target) -> Finding:
        async with free:
            return evaluate(check, target, await _ask(target, http))

    found = await asyncio.gather(*map(ask, targets[:MAX_URLS]))
    left = len(targets) - MAX_URLS
    if left <= 0:
        return [*found]
    text = f"{left} more were not tried"
    return [*found, warning(text, fix="they are too many for one check")]


async def _ask(target: Target, http: Http) -> int | str:
    limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    session = http.of(LineName(target.line)).guarded()
    try:
        async with session.head(
            target.url, headers=headers, timeout=limit, allow_redirects=False
        ) as answer:
            return answer.status
    except AddressBlocked as error:
        return str(error)
    except (aiohttp.ClientError, OSError, ValueError, BridgeError) as error:
        return f"it does not answer ({type(error).__name__})"
