"""Tests that what the compose file sets, mounts and promises exists."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bridge.settings.model import load

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRETS = "/run/secrets/"
VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_bridge_starts_with_the_settings_it_is_given(tmp_path):
    environment = {}
    for name, text in compose()["services"]["bridge"]["environment"].items():
        if text.startswith(SECRETS):
            file = tmp_path / text.removeprefix(SECRETS)
            file.write_text(f"the-long-text-of-{file.name}\n")
            text = str(file)
        environment[name] = VARIABLE.sub("192.0.2.10", text)
    settings = load({"BRIDGE_HTTP__HOST": "0.0.0.0"} | environment)
    assert settings.lines["main"].keys == ["the-long-text-of-api_key"]
    assert settings.metrics.keys == ["the-long-text-of-metrics_key"]
    assert settings.rtc.bind == ["192.0.2.10"]
    assert (settings.turn.mode, settings.turn.secret) == (
        "shared_secret",
        "the-long-text-of-turn_secret",
    )


def test_no_secret_is_in_an_environment_or_a_command():
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(VARIABLE.findall(text)) == {"MEDIA_ADDRESS"}
    for name, secret in compose()["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}


@pytest.mark.parametrize("service", sorted(compose()["services"]))
def test_every_service_reads_the_secrets_it_has_and_no_other(service):
    described = compose()["services"][service]
    read = set(re.findall(rf"{SECRETS}(\w+)", str(described)))
    read |= {"metrics_key"} if service == "prometheus" else set()
    assert read == set(described.get("secrets", []))


@pytest.mark.parametrize("service", sorted(compose()["services"]))
def test_every_service_has_limits_and_no_privileges(service):
    described = compose()["services"][service]
    assert re.fullmatch(r"\d+[mg]", described["mem_limit"])
    assert 0 < described["pids_limit"] <= 512
    assert described["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in described["security_opt"]


@pytest.mark.parametrize("service", sorted(compose()["services"]))
def test_every_file_that_is_mounted_exists(service):
    volumes = compose()["services"][service].get("volumes", [])
    named = compose()["volumes"]
    for volume in volumes:
        source = volume.split(":")[0]
        assert source in named or (DEPLOY / source).exists(), source


def test_every_image_but_our_own_is_named_by_version_and_digest():
    for name, service in compose()["services"].items():
        image = service.get("image", "")
        assert "build" in service or re.search(r":v?\d+\.\d+[\d.]*@sha256:[0-9a-f]{64}$", image), (
            name
        )


def test_coturn_and_the_bridge_share_one_secret_and_coturn_relays_to_the_bridge():
    services = compose()["services"]
    command = " ".join(services["coturn"]["command"])
    bridge = services["bridge"]["environment"]
    assert bridge["BRIDGE_TURN__SECRET_FILE"] in command
    assert VARIABLE.findall(bridge["BRIDGE_RTC__BIND"]) == ["MEDIA_ADDRESS"]
    assert "--allowed-peer-ip=${MEDIA_ADDRESS}" in command


def test_coturn_gets_the_secret_and_not_the_shipped_one(tmp_path):
    (script,) = compose()["services"]["coturn"]["command"]
    (tmp_path / "turn_secret").write_text("a-long-secret\n")
    here = {
        "/run/secrets": str(tmp_path),
        "/etc/coturn": str(DEPLOY / "coturn"),
        "/tmp": str(tmp_path),
        "$$": "$",
        "exec turnserver": "exec echo turnserver",
    }
    inside = "|".join(map(re.escape, here))
    script = re.sub(inside, lambda found: here[found[0]], script)
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("turnserver -c ")
    written = (tmp_path / "turnserver.conf").read_text()
    assert re.findall("^static-auth-secret=(.*)$", written, re.MULTILINE) == ["a-long-secret"]


def test_prometheus_finds_its_key_where_compose_puts_it():
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = scrape["scrape_configs"]
    (secret,) = compose()["services"]["prometheus"]["secrets"]
    path = job["authorization"]["credentials_file"]
    assert path == f"{SECRETS}{secret}"
    assert compose()["services"]["bridge"]["environment"]["BRIDGE_METRICS__KEYS_FILE"] == path


def test_every_variable_is_named_in_the_instructions_above():
    text = (DEPLOY / "compose.yaml").read_text()
    instructions = text[: text.index("services:")]
    assert [name for name in set(VARIABLE.findall(text)) if name not in instructions] == []
