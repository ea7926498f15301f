"""The names in the settings: does each have an address?"""

import asyncio
from collections.abc import Iterator

from bridge.cli.doctor.findings import Finding, failed, ok
from bridge.cli.doctor.runner import Surroundings
from bridge.http.address_guard import read_address
from bridge.http.resolver import Dns, LookupFailed
from bridge.rtc.turn import turn_address
from bridge.settings.http import host_of
from bridge.settings.model import Settings


async def check_names(around: Surroundings) -> list[Finding]:
    """Resolve every name in the settings, as the bridge does; STUN servers have a check of their own."""
    names = dict(hosts_in(around.settings))
    tried = await asyncio.gather(*(_problem(name, around.dns) for name in names))
    problems = {name: problem for name, problem in zip(names, tried, strict=True) if problem}
    found = [evaluate(name, names[name], problem) for name, problem in problems.items()]
    if len(problems) < len(names):
        known = [name for name in names if name not in problems]
        found.insert(0, ok(f"there are addresses for {', '.join(known)}"))
    return found or [ok("no name is in the settings")]


def evaluate(name: str, setting: str, problem: str) -> Finding:
    """Return what it means that a name has no address."""
    return failed(
        f"{name}: {problem}",
        setting=setting,
        fix=f"is {setting} spelt right, and do the name servers (/etc/resolv.conf, or "
        "net.nameservers) answer?",
    )


def hosts_in(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the host names in the settings that are in use, each with its setting."""
    for host, setting in _hosts(settings):
        if host and read_address(host) is None:
            yield host, setting


def _hosts(settings: Settings) -> Iterator[tuple[str | None, str]]:
    turn = settings.turn
    if turn.mode != "none":
        for url in (*turn.urls, *(url for server in turn.servers for url in server.urls)):
            yield turn_address(url).host, "turn.urls"
    yield host_of(settings.recording.s3.endpoint), "recording.s3.endpoint"
    yield host_of(settings.http.public_url), "http.public_url"
    for name, line in settings.lines.items():
        setting, url = line.whatsapp.server
        yield host_of(url), f"lines.{name}.whatsapp.{setting}"
        if line.realtime is not None:
            yield host_of(line.realtime.url), f"lines.{name}.realtime.url"
            yield host_of(line.realtime.tools_url), f"lines.{name}.realtime.tools_url"


async def _problem(name: str, dns: Dns) -> str:
    try:
        await dns.resolve(name)
    except LookupFailed as error:
        return str(error.strerror)
    return ""
