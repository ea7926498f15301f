"""What the doctor's checks are given in tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.cli.doctor.findings import Finding, Status
from bridge.cli.doctor.runner import Surroundings
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.http.resolver import Dns
from bridge.settings.model import Settings
from bridge.settings.net import networks


@asynccontextmanager
async def surroundings(
    settings: Settings, *, running: bool = False, nameserver: str = ""
) -> AsyncIterator[Surroundings]:
    """Make what a check needs; customers' URLs may be on loopback."""
    dns = Dns([nameserver] if nameserver else ())
    http = Http(Guard(allow=networks("", ["127.0.0.0/8"]), require_tls=False), resolver=dns)
    try:
        yield Surroundings(settings=settings, http=http, dns=dns, running=running)
    finally:
        await http.aclose()


def only(findings: list[Finding]) -> Finding:
    """Return the one finding there is."""
    [finding] = findings
    return finding


def assert_ok(finding: Finding, *words: str) -> None:
    assert finding.status is Status.OK, finding
    assert finding.fix == ""
    assert all(word in finding.found for word in words), finding


def assert_warns(finding: Finding, *words: str, setting: str = "") -> None:
    _assert_bad(Status.WARNING, finding, words, setting)


def assert_fails(finding: Finding, *words: str, setting: str = "") -> None:
    _assert_bad(Status.FAILED, finding, words, setting)


def _assert_bad(status: Status, finding: Finding, words: tuple[str, ...], setting: str) -> None:
    assert finding.status is status, finding
    assert finding.fix, finding
    assert setting in finding.setting, finding
    assert all(word in finding.found + finding.fix for word in words), finding
