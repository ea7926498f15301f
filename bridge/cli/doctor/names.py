"""The names in the settings: does each have an address?"""

import asyncio
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from bridge.cli.doctor.findings import Finding, failed, ok
from bridge.cli.doctor.runner import Surroundings
from bridge.http.resolver import Dns, LookupFailed
from bridge.rtc.turn import turn_address
from bridge.settings.http import host_of
from bridge.settings.model import Settings

CHECK: Final = "dns"


async def check_names(around: Surroundings) -> list[Finding]:
    """Resolve every name in the settings, as the bridge does; STUN servers have a check of their own."""
    names = dict(hosts_in(around.settings))
    tried = await asyncio.gather(*(_problem(name, around.dns) for name in names))
    problems = {name: problem for name, problem in zip(names, tried, strict=True) if problem}
    found = [judge(name, names[name], problem) for name, problem in problems.items()]
    if len(problems) < len(names):
        known = [name for name in names if name not in problems]
        found.insert(0, ok(CHECK, f"there are addresses for {', '.join(known)}"))
    return found or [ok(CHECK, "no name is in the settings")]


def judge(name: str, setting: str, problem: str) -> Finding:
    """Return what it means that a name has no address."""
    return failed(
        CHECK,
        f"{name}: {problem}",
        setting=setting,
        fix=f"is {setting} spelt right, and do the name servers (/etc/resolv.conf, or "
        "net.nameservers) answer?",
    )


def hosts_in(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the host names in the settings that are in use, each with its setting."""
    for host, setting in _hosts(settings):
        if host and not _is_address(host):
            yield host, setting


def _hosts(settings: Settings) -> Iterator[tuple[str | None, str]]:
    turn = settings.turn
    if turn.mode != "none":
        for url in (*turn.urls, *(url for server in turn.servers for url in server.urls)):
            yield turn_address(url).host, "turn.urls"
    yield host_of(settings.recording.s3.endpoint), "recording.s3.endpoint"
    yield host_of(settings.http.public_url), "http.public_url"
    for name, line in settings.lines.items():
        if line.whatsapp.provider == "cloud":
            yield host_of(line.whatsapp.base_url), f"lines.{name}.whatsapp.base_url"
        if line.whatsapp.provider == "gateway":
            yield host_of(line.whatsapp.url), f"lines.{name}.whatsapp.url"
        if line.realtime is not None:
            yield host_of(line.realtime.url), f"lines.{name}.realtime.url"
            yield host_of(line.realtime.tools_url), f"lines.{name}.realtime.tools_url"


async def _problem(name: str, dns: Dns) -> str:
    try:
        await dns.resolve(name)
    except LookupFailed as error:
        return str(error.strerror)
    return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
