"""What all tests share; names those that were left out, for want of a tool or as they are long."""

import asyncio
import gc
import importlib.util
import os
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
from _pytest.nodeid import NodeId
from aiohttp import web_app

from bridge.net.postgres import Postgres
from bridge.net.sqlite import Sqlite
from bridge.rtc import packet_path_build
from bridge.rtc.packet_path_library import Unavailable, load
from tests.support import postgres, s3
from tests.support.time_limit import limited
from tests.support.virtual_time import VirtualTimeLoop

NEEDS = {
    "browser": ("chromium", "apt-get install chromium"),
    "firefox": ("firefox-esr", "apt-get install firefox-esr"),
    "pulseaudio": ("pulseaudio", "apt-get install pulseaudio"),
    "coturn": ("turnserver", "apt-get install coturn"),
    "nginx": ("nginx", "apt-get install nginx"),
    "baresip": ("baresip", "apt-get install baresip-core"),
    "kamailio": ("kamailio", "apt-get install kamailio kamailio-tls-modules"),
    "sipp": ("sipp", "apt-get install sip-tester"),
    "sipsak": ("sipsak", "apt-get install sipsak"),
    "npm": ("npm", "apt-get install npm"),
    "shellcheck": ("shellcheck", "apt-get install shellcheck"),
    "promtool": ("promtool", "apt-get install prometheus"),
    "kubectl": ("kubectl", "Kubernetes' own package; Debian's is too old"),
    "postgresql": ("postgresql", "apt-get install postgresql"),
    "pesq": ("pesq", "make test-tools, which compiles it"),
    "espeak": ("espeak-ng", "apt-get install espeak-ng"),
    "pocketsphinx": ("pocketsphinx", "make test-tools, which installs requirements-demo.lock"),
    "compiler": ("cc", packet_path_build.COMPILER_PACKAGES),
    "compiled": ("the compiled packet path", packet_path_build.COMPILER_PACKAGES),
    "examples": ("pipecat", "make test-tools, which installs requirements-examples.lock"),
    "libwebrtc": ("webrtc", "pip install wrtc"),
}
"""By marker: what its tests need, and how to get it."""

COMPILED = pytest.StashKey[str]()
LEFT = pytest.StashKey[dict[str, dict[str, int]]]()
MODULES = {"pesq", "pipecat", "pocketsphinx", "webrtc"}
HEAVY = ("browser", "load")
"""These run one after the other, in one worker, where they name no group of their own."""

PURE = ("audio", "call", "rtp", "wire")
"""Folders of tests without a clock, a socket or a process: what fails there has failed for good."""

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2 << 30


hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.stash[COMPILED] = packet_path_build.outcome()
    keep_temporary_files_in_memory()


def pytest_report_header(config):
    return config.stash.get(COMPILED, None)


def keep_temporary_files_in_memory():
    """Do so because bridges commit to disk all the time, and would wait for it."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    if os.statvfs(MEMORY).f_flag & os.ST_NOEXEC or shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
        return
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None


def pytest_asyncio_loop_factories(config, item):
    """Run tests marked so on a virtual clock."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual_time": VirtualTimeLoop}
    return {"real_time": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """An S3 server for the tests of one worker; those of the group `s3` are all in one."""
    with s3.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server for the tests of one worker."""
    with postgres.running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server):
    """The URL of a PostgreSQL database of its own for the test, with all tables."""
    with postgres_server.database() as name:
        yield postgres_server.url(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request, tmp_path):
    """A database of its own for the test, with all tables: on each engine."""
    if request.param == "sqlite":
        yield Sqlite(tmp_path / "bridge.sqlite3")
        return
    yield Postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture
def s3_bucket(s3_server):
    """The S3 server, with nothing in its bucket."""
    s3_server.empty()
    return s3_server


def missing(marker: str) -> str | None:
    """Say what the tests of a marker lack here; None when they can run."""
    tool, remedy = NEEDS[marker]
    if tool == "postgresql":
        found = postgres.programs() is not None
    elif marker == "compiled":
        found = not isinstance(load(compiled=True), Unavailable)
    else:
        found = bool(importlib.util.find_spec(tool) if tool in MODULES else shutil.which(tool))
    return None if found else f"{tool} is not installed ({remedy})"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    leave_long(config, items)
    lacks = {marker: missing(marker) for marker in NEEDS}
    for item in items:
        for marker, lack in lacks.items():
            if lack and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=lack))
        allow_second_try(item)
        heavy = any(item.get_closest_marker(marker) for marker in HEAVY)
        if heavy and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("heavy"))
        if getattr(config.option, "loadgroup", False):
            name_group(item)


def allow_second_try(item):
    """Let a test that needs the machine's time fail once; the summary names each that did.

    Real browsers, servers and processes share two cores in `make test`, and each of their waits has an end.
    """
    folder = Path(item.nodeid).parts[1]
    if folder not in PURE and not item.get_closest_marker("virtual_time"):
        item.add_marker(pytest.mark.flaky(reruns=1))


def name_group(item):
    """Add the test's group to its id, from which the scheduler reads it.

    pytest-xdist 3.8 sets `_nodeid`, which pytest 9.2 no longer reads: every worker would start its
    own browsers and servers, and tests that judge sound would run beside each other.
    """
    group = item.get_closest_marker("xdist_group")
    if group and not item.nodeid.endswith(f"@{group.args[0]}"):
        item._id = NodeId.parse(f"{item.nodeid}@{group.args[0]}")


def pytest_collection_finish():
    """Spare the garbage collector thousands of tests and modules, which stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    with limited():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    with limited():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown():
    """Let go of the test's bridges, which aiohttp would keep: it remembers 1,024 handlers' applications."""
    with limited():
        result = yield
    web_app._cached_build_middleware.cache_clear()
    return result


def leave_long(config, items):
    """Deselect the long tests, unless `-m` asks for them, and count them by file."""
    if "long" in config.option.markexpr:
        return
    left = [item for item in items if item.get_closest_marker("long")]
    if not left:
        return
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left)
    counted = dict(Counter(item.nodeid.partition("::")[0] for item in left))
    getattr(config, "workeroutput", config.stash.setdefault(LEFT, {})).update({"long": counted})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take a worker's count of long tests; all workers count the same."""
    node.config.stash[LEFT] = getattr(node, "workeroutput", {})


def why_failed(longrepr):
    """Return a line that says why a test failed."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash and crash.message:
        return crash.message.splitlines()[0]
    # What a destructor raised, or a group of exceptions, has its reason in the text alone.
    lines = [line.strip("|E ") for line in str(longrepr).splitlines()]
    return next((line for line in reversed(lines) if re.match(r"[\w.]+: ", line)), "no reason")


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats.get("rerun", []):
        why = why_failed(report.longrepr)
        terminalreporter.write_line(
            f"failed at its first try: {report.nodeid} - {why}", yellow=True
        )
    left = terminalreporter.config.stash.get(LEFT, {}).get("long", {})
    for file, count in sorted(left.items()):
        terminalreporter.write_line(f"left to make test-long: {count} x {file}", yellow=True)
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if not shutil.which("npm"):
        reasons["tsc -p web was left out: npm is not installed (apt-get install npm)"] += 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped: {count} x {reason}", yellow=True)
