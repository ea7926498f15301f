"""What the checks found, as text and as JSON, and the exit code."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from bridge.settings import secrets
from bridge.settings.model import Settings

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


def ok(found: str, *, check: str = "") -> Finding:
    """Return a finding that asks for nothing; the runner adds the name of the check where it is empty."""
    return Finding(check=check, status=Status.OK, found=found)


def warning(found: str, *, setting: str = "", fix: str, check: str = "") -> Finding:
    """Return a finding of something that should be changed."""
    return Finding(check=check, status=Status.WARNING, found=found, setting=setting, fix=fix)


def failed(found: str, *, setting: str = "", fix: str, check: str = "") -> Finding:
    """Return a finding of something that stops the bridge or its calls."""
    return Finding(check=check, status=Status.FAILED, found=found, setting=setting, fix=fix)


def make_report(version: str, findings: Iterable[Finding], concealed: Sequence[str] = ()) -> Report:
    """Return the report, in which every one of `concealed` is replaced."""
    clean = tuple(_conceal(finding, concealed) for finding in findings)
    worst = max((one.status for one in clean), key=_ORDER.index, default=Status.OK)
    return Report(status=worst, version=version, findings=clean)


def secrets_in(settings: Settings) -> list[str]:
    """Return every secret of the settings that is no ordinary word, the longest first."""
    long = {
        secret for secret in secrets.secrets_in(settings) if len(secret) >= MIN_SECRET_CHARACTERS
    }
    return sorted(long, key=len, reverse=True)


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


def _conceal(finding: Finding, concealed: Sequence[str]) -> Finding:
    found, fix = finding.found, finding.fix
    for secret in concealed:
        found, fix = found.replace(secret, CONCEALED), fix.replace(secret, CONCEALED)
    return msgspec.structs.replace(finding, found=found, fix=fix)
