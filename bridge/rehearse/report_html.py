"""One self-contained HTML page for all rehearsed calls: results, waveforms and sound. Pure."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from bridge.rehearse.report_sound import data_uri
from bridge.rehearse.report_waveform import waits, waveform
from bridge.rehearse.result import Check, Mark, MarkKind, Result

STYLE: Final = Path(__file__).with_name("report.css").read_text()
SCRIPT: Final = Path(__file__).with_name("report.js").read_text()
KINDS: Final = {
    MarkKind.CALLER: "Caller",
    MarkKind.BOT: "Bot",
    MarkKind.DIGIT: "Digit",
    MarkKind.DISCLOSURE: "Disclosure",
    MarkKind.PROBLEM: "Problem",
    MarkKind.OVERLAP: "Both spoke",
    MarkKind.HANGUP: "Hang-up",
}


def html(results: Sequence[Result]) -> str:
    """Return a page of scenarios, each with its checks, what was said when, and both sides' sound."""
    failed = [result for result in results if not result.passed]
    title = f"{len(results) - len(failed)} of {len(results)} scenarios passed"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{STYLE}</style></head><body>",
            f'<header><p class="quiet">media-bridge rehearse</p><h1>{title}</h1>{_when(results)}',
            _failures(failed),
            "</header><main>",
            *(_scenario(number, result) for number, result in enumerate(results)),
            f"</main><script>{SCRIPT}</script></body></html>\n",
        ]
    )


def anchor(result: Result) -> str:
    """Return the id of a scenario's part of the page."""
    return "".join(letter if letter.isalnum() else "-" for letter in result.scenario)


def _when(results: Sequence[Result]) -> str:
    if not results:
        return ""
    began = escape(min(result.began for result in results))
    shown = began.replace("T", " ").partition(".")[0]
    seconds = sum(result.seconds for result in results)
    spent = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return f'<p class="quiet">{spent} of calls, from <time datetime="{began}">{shown}</time></p>'


def _failures(failed: Sequence[Result]) -> str:
    if not failed:
        return ""
    rows = [
        f'<li><a href="#{anchor(result)}">{escape(result.title or result.scenario)}</a> {_reason(result)}</li>'
        for result in failed
    ]
    return f'<ul class="failures" aria-label="Failed">{"".join(rows)}</ul>'


def _reason(result: Result) -> str:
    """Return in a few words why a scenario failed."""
    names = dict.fromkeys(check.name for check in result.checks if not check.passed)
    return f'<span class="quiet">{escape(result.error or ", ".join(names))}</span>'


def _scenario(number: int, result: Result) -> str:
    state = "passed" if result.passed else "failed"
    mark = '<span class="mark" aria-hidden="true">' + ("✓" if result.passed else "✕") + "</span>"
    waited = [ended - began for began, ended in waits(result.marks)]
    figures = [f"{result.seconds:.1f} s", f"{len(result.checks)} checks"]
    figures += [f"longest wait {max(waited) * 1000:.0f} ms"] if waited else []
    return "".join(
        [
            f'<details class="scenario {state}" id="{anchor(result)}"{"" if result.passed else " open"}><summary>{mark}',
            f'<span class="name"><strong>{escape(result.title or result.scenario)}</strong> ',
            f'<span class="quiet">{escape(result.scenario)}</span></span>',
            f'<span class="visually-hidden">{state}</span> ',
            f'<span class="figures quiet">{" · ".join(figures)}</span></summary>',
            f'<p class="error">{escape(result.error)}</p>' if result.error else "",
            _sound(number, result),
            _checks(result.checks),
            _spoken(result.marks),
            f'<p class="quiet file">{escape(result.file)} · {escape(result.began)}</p></details>',
        ]
    )


def _sound(number: int, result: Result) -> str:
    picture = waveform(result)
    if not picture:
        return ""
    return (
        '<figure><figcaption class="lanes quiet" aria-hidden="true"><span>Caller</span><span>Bot</span></figcaption>'
        f'<div class="strip" role="group" tabindex="0" aria-label="Waveform">{picture}</div>'
        f'<audio id="sound-{number}" controls preload="none" src="{data_uri(result.said, result.heard)}"></audio>'
        '<p class="quiet">Caller left, bot right. Click the waveform to play from there.</p></figure>'
    )


def _checks(checks: Sequence[Check]) -> str:
    if not checks:
        return ""
    rows = [
        f'<tr class="{"passed" if check.passed else "failed"}"><th scope="row"><span class="mark" aria-hidden="true">'
        f"{'✓' if check.passed else '✕'}</span> {escape(check.name)}"
        f'<span class="visually-hidden"> {"passed" if check.passed else "failed"}</span></th>'
        f'<td data-label="expected">{escape(check.expected)}</td><td data-label="seen">{escape(check.seen)}</td>'
        f"<td>{_moment(check.at)}</td></tr>"
        for check in sorted(checks, key=lambda check: check.passed)
    ]
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Check", "Expected", "Seen", "At"))
    return f'<table class="checks"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _moment(at: float | None) -> str:
    """Return a button that plays from shortly before a moment."""
    if at is None:
        return ""
    return f'<button type="button" data-at="{max(0.0, at):.2f}" title="Play from here">▸ {at:.2f} s</button>'


def _spoken(marks: Sequence[Mark]) -> str:
    rows = "".join(_row(mark) for mark in sorted(marks, key=lambda mark: (mark.began, mark.ended)))
    if not rows:
        return ""
    return f'<details class="marks"><summary>Timeline</summary><ol>{rows}</ol></details>'


def _row(mark: Mark) -> str:
    text = escape(mark.text) or f"{mark.ended - mark.began:.2f} s"
    kind = f'<span class="quiet">{KINDS[mark.kind]}</span>'
    return f'<li class="{mark.kind}">{_moment(mark.began)} {kind} {text}</li>'
