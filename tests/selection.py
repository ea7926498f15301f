"""Which tests each command runs: `make test` the quick ones, `make test-all` the full ones, `make test-long` the long ones.

A test is quick unless something here, or a marker of its own, says otherwise. `pytest PATH` alone runs all but the long ones.
"""

from collections import Counter
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from bridge.rtc.packet_path_library import Unavailable, load

# Before they are imported: an assert of theirs shall say what it saw.
pytest.register_assert_rewrite(
    *(f"tests.{each.name}" for each in Path(__file__).parent.iterdir() if each.is_dir())
)

COMMANDS = {"quick": "make test", "full": "make test-all", "long": "make test-long"}
SUITES = tuple(COMMANDS)
LEFT = pytest.StashKey[Counter[str]]()

REAL_PROGRAMS = {
    "browser", "firefox", "pulseaudio", "coturn", "nginx", "baresip", "kamailio", "sipp", "sipsak", "npm", "shellcheck",
    "promtool", "kubectl", "postgresql", "pesq", "pocketsphinx", "examples", "libwebrtc", "livekit", "cluster",
    "load",
}  # fmt: skip
"""Markers of tests that need a real program: they are full."""

SERVERS = {"s3_server", "postgres_server"}
"""Fixtures that start one."""

SECOND_VARIANTS = {
    "nodes": {"wrong_machine"},
    "engine": {"postgresql"},
}
"""By parameter: values with which a test checks again what it has checked without them."""


def pytest_addoption(parser):
    parser.addoption("--suite", choices=SUITES, help="the tests of one command alone")


def pytest_configure(config):
    """Draw the examples of property tests: anew only in the suite that may take its time to look into a failure."""
    hypothesis.settings.register_profile("quick", deadline=None, derandomize=True, max_examples=25)
    hypothesis.settings.register_profile("full", deadline=None, print_blob=True)
    hypothesis.settings.load_profile(
        "full" if config.getoption("suite") in ("full", "long") else "quick"
    )


@cache
def compiled():
    """Return whether there is a compiled packet path; without it Python's is the only one."""
    return not isinstance(load(compiled=True), Unavailable)


def suite_of(item):
    """Return the suite of a test, one of `SUITES`."""
    marked = {marker.name for marker in item.iter_markers()}
    if "long" in marked:
        return "long"
    if "quick" in marked:
        return "quick"
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    second = any(parameters.get(name) in values for name, values in SECOND_VARIANTS.items())
    second = second or (parameters.get("path") == "python" and compiled())
    if second or marked & {"full", *REAL_PROGRAMS} or SERVERS.intersection(item.fixturenames):
        return "full"
    return "quick"


def runs_in(item, suite):
    """Return whether a suite, or without one a run of pytest by hand, has a test."""
    own = suite_of(item)
    if suite is None:
        return own != "long"
    drawn_anew = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return own == suite or (suite == "full" and own == "quick" and drawn_anew)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Leave the tests of other suites out, and count them."""
    suite = config.getoption("suite")
    if suite is None and config.option.markexpr:
        return
    left = [item for item in items if not runs_in(item, suite)]
    config.stash[LEFT] = Counter(suite_of(item) for item in left)
    if left:
        items[:] = [item for item in items if runs_in(item, suite)]
        config.hook.pytest_deselected(items=left)


def pytest_terminal_summary(terminalreporter, config):
    for suite, number in sorted(config.stash.get(LEFT, {}).items()):
        terminalreporter.write_line(f"left to {suite}: {number}")
