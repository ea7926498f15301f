"""What the checks found, as text and as JSON, and the exit code."""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from bridge.settings.model import Settings, keys_in

MIN_SECRET_CHARACTERS: Final = 8
"""Shorter secrets are ordinary words, which may stand in any text."""
CONCEALED: Final = "…"


class Status(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    """Calls work, or may work; something should be changed."""
    FAILED = "failed"
    """The bridge does not start, or calls do not work."""


EXIT_CODES: Final = {Status.OK: 0, Status.WARNING: 1, Status.FAILED: 2}
_ORDER: Final = tuple(EXIT_CODES)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report."""

    check: str
    """The name of the check."""
    status: Status
    found: str
    setting: str = ""
    """The setting to change; empty where none helps."""
    fix: str = ""
    """What to do; empty where nothing is to be done."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report."""

    status: Status
    """The worst of all findings."""
    version: str
    """The bridge's."""
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 with warnings, 2 with failures."""
        return EXIT_CODES[self.status]


def ok(check: str, found: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(check=check, status=Status.OK, found=found)


def warning(check: str, found: str, *, setting: str = "", fix: str) -> Finding:
    """Return a finding of something that should be changed."""
    return Finding(check=check, status=Status.WARNING, found=found, setting=setting, fix=fix)


def failed(check: str, found: str, *, setting: str = "", fix: str) -> Finding:
    """Return a finding of something that stops the bridge or its calls."""
    return Finding(check=check, status=Status.FAILED, found=found, setting=setting, fix=fix)


def make_report(version: str, findings: Iterable[Finding], secrets: Sequence[str] = ()) -> Report:
    """Return the report, in which every one of `secrets` is replaced."""
    clean = tuple(_conceal(finding, secrets) for finding in findings)
    worst = max((one.status for one in clean), key=_ORDER.index, default=Status.OK)
    return Report(status=worst, version=version, findings=clean)


def secrets_in(settings: Settings) -> list[str]:
    """Return every secret of the settings, the longest first."""
    return sorted(set(_secrets(settings)), key=len, reverse=True)


def to_json(report: Report) -> str:
    """Return the report as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def to_text(report: Report) -> str:
    """Return the report for people: a line for each finding, below it what to do."""
    width = max((len(finding.check) for finding in report.findings), default=0)
    lines: list[str] = []
    for finding in report.findings:
        lines.append(f"{finding.status:<8} {finding.check:<{width}}  {finding.found}")
        if finding.fix:
            lines.append(f"{'':<9}{'':<{width}}  -> {finding.fix}")
    counts = {status: sum(one.status is status for one in report.findings) for status in Status}
    lines += ["", ", ".join(f"{count} {status}" for status, count in counts.items())]
    return "\n".join(lines)


def _secrets(settings: Settings) -> Iterator[str]:
    turn, s3 = settings.turn, settings.recording.s3
    found = [key for _, key in keys_in(settings)]
    found += [turn.secret, turn.credential, *(server.credential for server in turn.servers)]
    found += [s3.secret_key, s3.access_key, *passwords_in(settings.data.url)]
    found += [settings.cluster.secret, settings.cluster.former_secret]
    for line in settings.lines.values():
        wa = line.whatsapp
        found += [wa.access_token, wa.app_secret, wa.verify_token, wa.token]
        if line.sip is not None:
            found += [line.sip.password, line.sip.inbound_password]
    yield from (secret for secret in found if len(secret) >= MIN_SECRET_CHARACTERS)


def passwords_in(url: str) -> Iterator[str]:
    """Yield the passwords in a URL of a database, as they are written and as they are meant."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield from parse_qs(parts.query).get("password", [])
    if parts.password:
        yield from (parts.password, unquote(parts.password))


def _conceal(finding: Finding, secrets: Sequence[str]) -> Finding:
    found, fix = finding.found, finding.fix
    for secret in secrets:
        found, fix = found.replace(secret, CONCEALED), fix.replace(secret, CONCEALED)
    return msgspec.structs.replace(finding, found=found, fix=fix)
