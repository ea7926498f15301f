"""The wheel, installed into a fresh environment and run from a folder without the checkout."""

import subprocess
import sys
import sysconfig
import tarfile
from zipfile import ZipFile

import pytest

from bridge.rtc.packet_path_build import FILES
from tests.support.server import PROJECT, running_command

pytestmark = pytest.mark.full

LIBRARY = "bridge/rtc/libpacket_path.so"
SOURCE_FILES = {f"bridge/rtc/{name}" for name in FILES}


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of a fresh environment that has the wheel, and the packages of this one."""
    environment = tmp_path_factory.mktemp("wheel") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    target = ["--python", environment / "bin" / "python", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, *target, wheel], check=True, capture_output=True, timeout=120)
    return environment


def test_the_installed_command_serves_the_page_and_places_calls(installed, tmp_path):
    command = [str(installed / "bin" / "media-bridge")]
    quick = {"SIMULATOR__RING_SECONDS": "0.1"}
    with running_command(command, tmp_path, tmp_path / "run", quick) as server:
        assert "<html" in server.text("/")
        assert "BridgeCall" in server.text("/web/bridge.js")
        assert "<html" in server.text("/console")
        assert "LiveView" in server.text("/web/console/live.js")
        assert "media bridge" in server.text("/README.md")
        assert "<h1" in server.text("/docs/guide/")
        assert "curl" in server.text("/docs/guide/tutorial.html")
        call = server.post("/call/dial", {"phone": "15550100001"})
        assert [each["callId"] for each in server.get("/call/status")["calls"]] == [call["callId"]]


def test_the_command_takes_the_options_of_the_module_and_says_its_own_name(installed, tmp_path):
    told = [
        subprocess.run(
            [*command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for command in (
            [installed / "bin" / "media-bridge"],
            [installed / "bin" / "python", "-m", "bridge"],
        )
    ]
    assert told[0].startswith("usage: media-bridge")
    options = [text.split("options:")[1].split() for text in told]
    assert options[0] == options[1]


@pytest.mark.compiler
def test_it_has_the_compiled_packet_path_and_is_for_this_platform_then(wheel, installed, tmp_path):
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name.endswith(f"-py3-none-{platform}.whl")
    assert LIBRARY in ZipFile(wheel).namelist()
    load = (
        "from bridge.rtc.packet_path_library import load; print(type(load(compiled=True)).__name__)"
    )
    told = subprocess.run(
        [installed / "bin" / "python", "-c", load],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "Library\n"


def test_without_a_compiler_it_is_for_every_platform(build_wheel):
    wheel = build_wheel(CC="/nowhere/cc")
    assert wheel.name.endswith("-py3-none-any.whl")
    names = ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith(".so")] == []
    assert set(names) >= SOURCE_FILES


def test_the_source_distribution_has_the_source_of_the_packet_path_alone(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True, timeout=120)
    [packed] = tmp_path.iterdir()
    with tarfile.open(packed) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= SOURCE_FILES
    assert ".ci/wheel_contents.py" in names
    assert LIBRARY not in names
