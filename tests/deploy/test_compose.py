"""Tests that what the compose file sets, mounts and promises exists."""

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from bridge.settings.model import load, port_range

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRETS = "/run/secrets/"
BRIDGES = ["bridge", "bridge-1", "bridge-2"]
DATABASE = "postgresql://bridge:the-long-text@127.0.0.1/bridge"
VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def settings_of(service, folder):
    environment = {}
    for name, text in compose()["services"][service]["environment"].items():
        if text.startswith(SECRETS):
            file = folder / text.removeprefix(SECRETS)
            long = f"the-long-text-of-the-secret-{file.name}"
            file.write_text(f"{DATABASE if file.name == 'database_url' else long}\n")
            text = str(file)
        environment[name] = VARIABLE.sub("192.0.2.10", text)
    return load({"BRIDGE_HTTP__HOST": "0.0.0.0"} | environment)


@pytest.mark.parametrize("service", BRIDGES)
def test_a_bridge_starts_with_the_settings_it_is_given(service, tmp_path):
    settings = settings_of(service, tmp_path)
    assert settings.lines["main"].keys == ["the-long-text-of-the-secret-api_key"]
    assert settings.metrics.keys == ["the-long-text-of-the-secret-metrics_key"]
    assert settings.admin.keys == ["the-long-text-of-the-secret-admin_key"]
    assert settings.rtc.bind == ["192.0.2.10"]
    assert (settings.turn.mode, settings.turn.secret) == (
        "shared_secret",
        "the-long-text-of-the-secret-turn_secret",
    )


@pytest.mark.parametrize("service", BRIDGES)
def test_calls_have_all_the_time_to_end_that_the_settings_promise(service, tmp_path):
    grace = compose()["services"][service]["stop_grace_period"]
    assert int(grace.removesuffix("s")) >= settings_of(service, tmp_path).limits.drain_seconds + 60


def test_the_two_bridges_share_the_database_and_no_port(tmp_path):
    one, other = (settings_of(service, tmp_path) for service in BRIDGES[1:])
    assert one.data.url == other.data.url == DATABASE
    assert one.cluster.secret == other.cluster.secret
    ports = [port_range(each.rtc.ports) for each in (one, other)]
    assert set(ports[0]).isdisjoint(ports[1])
    taken = [each.http.port for each in (one, other)]
    taken += [urlsplit(each.cluster.url).port for each in (one, other)]
    assert len(set(taken)) == 4
    services = compose()["services"]
    assert services["bridge-1"]["volumes"] != services["bridge-2"]["volumes"]
    assert services["postgres"]["environment"]["POSTGRES_USER"] == urlsplit(DATABASE).username


def test_nginx_passes_requests_to_both_bridges_with_the_certificate_it_is_given(tmp_path):
    (script,) = compose()["services"]["nginx"]["command"]
    here = {
        "/etc/nginx/conf.d/": f"{tmp_path}/",
        "/etc/nginx/cluster.conf": str(DEPLOY / "nginx" / "cluster.conf"),
        "exec nginx": "exec true",
    }
    inside = "|".join(map(re.escape, here))
    subprocess.run(["sh", "-ec", re.sub(inside, lambda found: here[found[0]], script)], check=True)
    written = (tmp_path / "bridge.conf").read_text()
    for service in BRIDGES[1:]:
        port = settings_of(service, tmp_path).http.port
        assert f"server 127.0.0.1:{port} fail_timeout" in written
    directives = re.sub("#.*", "", written)
    assert "10.0.0." not in directives
    [included] = re.findall(r"include (\S+);", directives)
    assert Path(included).exists()
    named = re.findall(r"^ *(ssl_certificate\w*) +(\S+);", written, re.MULTILINE)
    assert named == [
        ("ssl_certificate", f"{SECRETS}tls_cert"),
        ("ssl_certificate_key", f"{SECRETS}tls_key"),
    ]


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
