"""What all tests share; names those that were left out for want of a tool."""

import asyncio
import gc
import importlib.util
import os
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web_app

from bridge.db.postgres import Postgres
from bridge.db.sqlite import Sqlite
from bridge.rtc import packet_path_build
from bridge.rtc.packet_path_library import Unavailable, load
from tests.support.servers import postgres, s3
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
    "pocketsphinx": ("pocketsphinx", "make test-tools, which installs locks/demo.lock"),
    "compiler": ("cc", packet_path_build.COMPILER_PACKAGES),
    "compiled": ("the compiled packet path", packet_path_build.COMPILER_PACKAGES),
    "examples": ("pipecat", "make test-tools, which installs locks/examples.lock"),
    "livekit": ("livekit.rtc", "make test-tools, which installs locks/livekit.lock"),
    "libwebrtc": ("webrtc", "pip install wrtc"),
}
"""By marker: what its tests need, and how to get it."""

COMPILED = pytest.StashKey[str]()
MODULES = {"livekit.rtc", "pesq", "pipecat", "pocketsphinx", "webrtc"}
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2 << 30


def pytest_configure(config):
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
    """An S3 server for all tests of this process."""
    with s3.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server for all tests of this process."""
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
        found = importable(tool) if tool in MODULES else bool(shutil.which(tool))
    return None if found else f"{tool} is not installed ({remedy})"


def importable(module: str) -> bool:
    """Return whether a module is there; one below a namespace, such as `livekit`, may be all that is missing."""
    with suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    lacks = {marker: missing(marker) for marker in NEEDS}
    for item in items:
        for marker, lack in lacks.items():
            if lack and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=lack))


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


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if not shutil.which("npm"):
        reasons["tsc -p web was left out: npm is not installed (apt-get install npm)"] += 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped: {count} x {reason}", yellow=True)
