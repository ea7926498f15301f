"""Tests that what the compose file sets, mounts and promises exists."""

import re
from pathlib import Path

import pytest
import yaml

from bridge.settings import load

DEPLOY = Path(__file__).parents[2] / "deploy"
VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_bridge_starts_with_the_settings_it_is_given():
    environment = {
        name: VARIABLE.sub("192.0.2.10", text)
        for name, text in compose()["services"]["bridge"]["environment"].items()
    }
    settings = load({"BRIDGE_HTTP__HOST": "0.0.0.0"} | environment)
    assert settings.lines["main"].keys == ["192.0.2.10"]
    assert settings.rtc.bind == ["192.0.2.10"]
    assert settings.turn.mode == "shared_secret"


@pytest.mark.parametrize("service", sorted(compose()["services"]))
def test_every_file_that_is_mounted_exists(service):
    volumes = compose()["services"][service].get("volumes", [])
    named = compose()["volumes"]
    for volume in volumes:
        source = volume.split(":")[0]
        assert source in named or (DEPLOY / source).exists(), source


def test_every_image_but_our_own_has_a_version():
    for name, service in compose()["services"].items():
        assert "build" in service or re.search(r":v?\d+\.\d+", service["image"]), name


def test_coturn_and_the_bridge_share_one_secret_and_coturn_relays_to_the_bridge():
    services = compose()["services"]
    command = " ".join(services["coturn"]["command"])
    bridge = services["bridge"]["environment"]
    assert VARIABLE.findall(bridge["BRIDGE_TURN__SECRET"]) == ["TURN_SECRET"]
    assert "--static-auth-secret=${TURN_SECRET}" in command
    assert VARIABLE.findall(bridge["BRIDGE_RTC__BIND"]) == ["MEDIA_ADDRESS"]
    assert "--allowed-peer-ip=${MEDIA_ADDRESS}" in command


def test_prometheus_finds_the_key_where_compose_puts_it():
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = scrape["scrape_configs"]
    (secret,) = compose()["services"]["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    key = VARIABLE.findall(
        compose()["services"]["bridge"]["environment"]["BRIDGE_LINES__MAIN__KEYS"]
    )
    assert compose()["secrets"][secret]["environment"] in key


def test_every_variable_is_named_in_the_instructions_above():
    text = (DEPLOY / "compose.yaml").read_text()
    instructions = text[: text.index("services:")]
    assert [name for name in set(VARIABLE.findall(text)) if name not in instructions] == []
