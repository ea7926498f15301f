"""`python -m bridge doctor` as an operator runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from bridge.cli.doctor.checks import CHECKS
from bridge.cli.doctor.command import _show, check_settings, renamed
from bridge.cli.doctor.findings import Report
from bridge.settings.model import Line, Settings
from bridge.settings.renamed import FormerName
from tests.cli.doctor.surroundings import assert_ok, assert_warns, only
from tests.support.machine import free_port
from tests.support.server import PROJECT, free_media_ports, running

KEY = "a-key-of-at-least-twenty-characters"


def doctor(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    environment |= {f"BRIDGE_{name}": value for name, value in settings.items()}
    environment["BRIDGE_DATA__DIR"] = str(folder / "data")
    command = (sys.executable, "-m", "bridge", "doctor", *arguments)
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120
    )


def report_of(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, str]]]:
    report = json.loads(done.stdout)
    jsonschema_rs.validator_for(msgspec.json.schema(Report)).validate(report)
    findings: dict[str, list[dict[str, str]]] = {}
    for finding in report["findings"]:
        findings.setdefault(finding["check"], []).append(finding)
    return findings


def test_the_demonstration_has_no_failures_and_leaves_nothing(tmp_path):
    done = doctor(tmp_path, "--json", HTTP__PORT=str(free_port()), RTC__PORTS=free_media_ports())
    found = report_of(done)
    assert [one for of in found.values() for one in of if one["status"] == "failed"] == []
    assert [one for of in found.values() for one in of if not one["fix"]] != []
    assert {check.name for check in CHECKS} | {"settings", "stun"} == set(found)
    assert done.returncode in (0, 1)
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_beside_a_running_bridge_its_port_and_folder_are_not_taken(tmp_path):
    with running(tmp_path) as server:
        environment = {
            "HTTP__PORT": str(server.port),
            "RTC__STUN_URLS": "[]",
            "RTC__PORTS": free_media_ports(),
            "LINES__MAIN__KEYS": json.dumps([f"canary-{KEY}"]),
            "LINES__MAIN__WHATSAPP__PROVIDER": "gateway",
            "LINES__MAIN__WHATSAPP__URL": f"http://canary-user:canary@127.0.0.1:{free_port()}",
            "LINES__MAIN__WHATSAPP__TOKEN": "canary-token",
        }
        done = doctor(tmp_path, "--json", **environment)
        found = report_of(done)
    assert done.returncode == 2
    assert found["gateway"][0]["status"] == "failed"
    assert "canary" not in done.stdout + done.stderr
    assert "is running" in found["http"][0]["found"]
    assert {one["status"] for name in ("http", "database", "disk") for one in found[name]} == {"ok"}


@pytest.mark.full
def test_a_setting_that_is_wrong_ends_it_with_2(tmp_path):
    done = doctor(tmp_path, HTTP__PORT="many")
    assert done.returncode == 2
    assert done.stdout.startswith("failed   settings  http.port")
    found = report_of(doctor(tmp_path, "--json", HTTP__PORT="many"))
    assert found["settings"][0]["setting"] == "http.port"


def test_progress_is_one_line_that_is_written_over(capsys):
    _show(["a", "b", "c", "d", "e", "f", "g"])
    _show([])
    assert capsys.readouterr().err == "\r\x1b[Kchecking a, b, c, d, e and 2 more …\r\x1b[K"


def test_a_former_name_of_a_setting_is_a_warning():
    (finding,) = renamed([FormerName("media.relay", "media.passthrough")])
    assert (finding.status, finding.setting) == ("warning", "media.relay")
    assert finding.fix == "write media.passthrough"


def test_keys_that_are_short_are_told_and_not_shown():
    assert_ok(only(check_settings(Settings())), "demonstration")
    assert_ok(only(check_settings(Settings(lines={"main": Line(keys=[KEY])}))), "lines: main")
    finding = only(check_settings(Settings(lines={"main": Line(keys=["abcdefgh"])})))
    assert_warns(finding, "openssl", setting="lines.main.keys")
    assert "abcdefgh" not in finding.found


@pytest.mark.parametrize("word", ["doctor", "settings, ports"])
def test_the_help_names_it(word):
    shown = subprocess.run(
        (sys.executable, "-m", "bridge", "--help"),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert word in shown.stdout
