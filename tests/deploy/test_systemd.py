"""The unit for systemd: what it starts exists, and stopping waits longer than a drain."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.__main__ import build_parser
from bridge.db.postgres_setup import WAIT_SECONDS
from bridge.settings.model import load

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "bridge.service"


def lines(name: str) -> list[str]:
    """The values of a key, which may stand more than once."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_its_environment_is_made_of_settings():
    environment = dict(line.split("=", 1) for line in lines("Environment"))
    chosen = load({k: v for k, v in environment.items() if k != "BRIDGE_CONFIG"}, None)
    assert chosen.limits.drain_seconds == 3600
    assert int(lines("TimeoutStopSec")[0]) >= chosen.limits.drain_seconds + 60


def test_its_commands_are_those_of_the_command_line():
    for command in lines("ExecStart") + lines("ExecReload"):
        program, *arguments = command.split()
        assert program.endswith("/media-bridge")
        build_parser().parse_args(arguments)


def test_it_signals_the_supervisor_alone_and_is_started_anew_after_failures():
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    assert parser["Service"]["KillMode"] == "mixed"
    assert parser["Service"]["Restart"] == "on-failure"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_starts_that_wait_for_the_database_are_never_too_many():
    seconds = WAIT_SECONDS + float(lines("RestartSec")[0])
    burst = int(lines("StartLimitBurst")[0])
    assert burst * seconds > float(lines("StartLimitIntervalSec")[0])


def test_systemd_finds_no_fault(tmp_path):
    program = tmp_path / "media-bridge"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "bridge.service"
    unit.write_text(UNIT.read_text().replace("/opt/bridge/bin/media-bridge", str(program)))
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert checked.stderr == ""
