"""`media-bridge rehearse`: end-to-end tests of voice bots by scripted callers."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import uvloop

from bridge.rehearse.report_html import html
from bridge.rehearse.report_junit import explain, junit
from bridge.rehearse.result import Result
from bridge.rehearse.scenario import Scenario
from bridge.rehearse.scenario_file import ScenarioError, find, load
from bridge.rehearse.suite import Options, Suite
from bridge.rehearse.voices import default_cache

FAILED, WRONG, ENDED = 1, 2, 130
PAGE = "rehearsal.html"


def run(arguments: argparse.Namespace) -> int:
    """Run the scenarios; return the exit code."""
    try:
        suite = Suite(
            _scenarios(arguments),
            _options(arguments),
            arguments.cache or default_cache(),
            announce=_say,
        )
        began = time.monotonic()
        results = uvloop.run(_run(suite))
        _write_reports(arguments, results)
    except ScenarioError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    except (KeyboardInterrupt, asyncio.CancelledError):
        return ENDED
    failed = sum(not one.passed for one in results)
    _say(f"{len(results) - failed} of {len(results)} passed in {time.monotonic() - began:.1f} s")
    return FAILED if failed else 0


async def _run(suite: Suite) -> list[Result]:
    """Run the scenarios; on SIGTERM too, stop what was started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await suite.run(_show)


def _scenarios(arguments: argparse.Namespace) -> list[Scenario]:
    """Read the scenarios, and apply the options; all mistakes of all files in one `ScenarioError`."""
    options, found, mistakes = _options(arguments), [], []
    for path in find(arguments.scenarios):
        if arguments.only in path.stem:
            try:
                found.append(options.apply(load(path)))
            except ScenarioError as error:
                mistakes.append(str(error))
    if mistakes:
        raise ScenarioError("\n".join(mistakes))
    if not found:
        raise ScenarioError(f"--only {arguments.only}: no scenario has this in its name")
    return found


def _options(arguments: argparse.Namespace) -> Options:
    chosen = vars(arguments) | {"command": arguments.bot_command}
    return Options(**{field.name: chosen[field.name] for field in fields(Options)})


def _show(result: Result) -> None:
    _say(f"{'passed' if result.passed else 'FAILED'}  {result.scenario}  {result.seconds:.1f} s")
    if result.error:
        _say(f"        {result.error}")
    for check in result.checks:
        if not check.passed:
            _say(f"        {explain(check)}")


def _write_reports(arguments: argparse.Namespace, results: Sequence[Result]) -> None:
    if arguments.junit:
        _write(arguments.junit, junit(results))
    if arguments.html:
        page = arguments.html
        page = page if page.suffix in (".html", ".htm") else page / PAGE
        _write(page, html(results).encode())
        _say(f"report: {page}")


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
