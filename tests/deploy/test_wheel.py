"""The wheel, installed into a fresh environment and run from a folder without the checkout."""

import subprocess
import sys
import sysconfig

import pytest

from tests.support.server import running_command


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


@pytest.mark.xdist_group("wheel")
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


@pytest.mark.xdist_group("wheel")
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
