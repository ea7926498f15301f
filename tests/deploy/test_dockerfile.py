"""Tests of the Dockerfile without Docker: its steps replayed in a folder of the test's own.

`/app` becomes that folder, the base image this machine's Python. What is not tried: the base image
itself, Debian's packages, the user, and the port and volume declarations.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

from bridge.settings.model import load
from tests.support.machine import free_port

PROJECT = Path(__file__).parents[2]


@dataclass
class Image:
    """What the last stage of the Dockerfile says, and the steps of all stages."""

    runs: list[str] = field(default_factory=list)
    copies: list[list[str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    user: str = ""


def instructions():
    text = (PROJECT / "Dockerfile").read_text().replace("\\\n", " ")
    for name, value in re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE):
        text = text.replace(f"${{{name}}}", value)
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def image():
    read = Image()
    for word, rest in instructions():
        if word == "RUN":
            read.runs.append(rest)
        elif word == "COPY":
            read.copies.append(shlex.split(rest))
        elif word == "ENV":
            read.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "CMD":
            read.command = json.loads(rest)
        elif word == "HEALTHCHECK":
            read.health = json.loads(rest[rest.index("CMD ") + 4 :])
        elif word == "USER":
            read.user = rest
    return read


def test_the_image_does_not_run_as_root():
    user, group = image().user.split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_settings_of_the_image_are_settings():
    settings = load(
        image().environment | {"BRIDGE_LINES__MAIN__KEYS": '["a-long-random-key-of-mine"]'}
    )
    assert settings.http.host == "0.0.0.0"
    assert settings.nodes == 1
    assert settings.data.dir == "/app/data"


def test_what_is_copied_is_let_through_by_dockerignore():
    lines = (PROJECT / ".dockerignore").read_text().split()
    let_through = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for copy in image().copies:
        if not copy[0].startswith("--from"):
            for source in copy[:-1]:
                assert (PROJECT / source).exists(), source
                assert any(fnmatch(source, pattern) for pattern in let_through), source


def copy_sources(folder):
    """Copy into a folder what the steps copy from the checkout."""
    for *sources, target in image().copies:
        if sources[0].startswith("--"):
            continue
        for source in sources:
            to = folder / target / source if target in {".", "./"} else folder / target
            to.parent.mkdir(parents=True, exist_ok=True)
            if (PROJECT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.so")
                shutil.copytree(PROJECT / source, to, ignore=ignored)
            else:
                shutil.copy(PROJECT / source, to)


@pytest.mark.compiler
@pytest.mark.full
def test_the_wheel_is_built_from_what_is_copied_and_has_the_compiled_packet_path(
    build_wheel, tmp_path
):
    copy_sources(tmp_path)
    assert "bridge/rtc/libpacket_path.so" in ZipFile(build_wheel(tmp_path)).namelist()


def test_the_compiler_is_only_where_the_wheel_is_built():
    stages = (PROJECT / "Dockerfile").read_text().split("\nFROM ")
    assert [" gcc " in stage for stage in stages] == [False, True, False, False]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The folder `/app` as the image would have it."""
    folder = tmp_path_factory.mktemp("image") / "app"
    folder.mkdir()
    copy_sources(folder)
    for step in image().runs:
        if step.startswith("apt-get"):
            continue
        command = re.sub(r"^python\b", sys.executable, step.replace("/app", str(folder)))
        subprocess.run(
            shlex.split(command), cwd=folder, check=True, capture_output=True, timeout=180
        )
    return folder


def placed(words, folder):
    return [word.replace("/app", str(folder)) for word in words]


def environment(folder, **more):
    """The image's environment, and nothing of this test run's but where programs are."""
    ours = {name: placed([text], folder)[0] for name, text in image().environment.items()}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | ours | more


# All packages are installed twice. tests/deploy/test_wheel.py runs the wheel without that.
@pytest.mark.full
def test_without_a_key_the_image_stops_at_once_and_says_why(app):
    stopped = subprocess.run(
        placed(image().command, app),
        cwd=app,
        env=environment(app),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert stopped.returncode == 2
    assert "no line has a key" in stopped.stderr
    assert "Traceback" not in stopped.stderr


@pytest.mark.full
def test_with_a_key_the_image_serves_is_healthy_and_stops_when_told(app):
    key = {
        "BRIDGE_LINES__MAIN__KEYS": '["a-long-random-key-of-mine"]',
        "BRIDGE_HTTP__PORT": str(free_port()),
        "BRIDGE_RTC__BIND": '["127.0.0.1"]',
    }
    variables = environment(app, **key)
    log = app.parent / "bridge.log"
    with log.open("wb") as output:
        bridge = subprocess.Popen(
            placed(image().command, app), cwd=app, env=variables, stderr=output
        )
    try:
        assert healthy_within(60, app, variables, bridge), log.read_text()
        with urlopen(
            f"http://127.0.0.1:{key['BRIDGE_HTTP__PORT']}/docs/guide/", timeout=10
        ) as guide:
            assert b"<h1" in guide.read()
        bridge.send_signal(signal.SIGTERM)
        assert bridge.wait(20) == 0, log.read_text()
    finally:
        bridge.kill()
        bridge.wait()


def healthy_within(seconds, app, variables, bridge):
    until = time.monotonic() + seconds
    while time.monotonic() < until and bridge.poll() is None:
        asked = subprocess.run(
            placed(image().health, app),
            env=variables,
            capture_output=True,
            check=False,
            timeout=10,
        )
        if asked.returncode == 0:
            return True
        time.sleep(0.2)
    return False
