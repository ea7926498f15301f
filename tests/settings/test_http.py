"""Tests of what is set for the HTTP service: who may ask, and which keys are too short."""

import pytest

from bridge.settings.model import load
from tests.settings.test_model import refusal

LONG = "a-key-of-twenty-characters-or-more"
EXPOSED = [
    {"BRIDGE_HTTP__HOST": "0.0.0.0"},
    {"BRIDGE_HTTP__PUBLIC_URL": "https://calls.example"},
    {"BRIDGE_HTTP__ALLOWED_HOSTS": '["calls.example"]'},
]


@pytest.mark.parametrize("exposed", EXPOSED)
@pytest.mark.parametrize(
    ("variable", "setting"),
    [
        ("LINES__A__KEYS", "lines.a.keys"),
        ("LINES__A__WHATSAPP__WEBHOOK_KEYS", "lines.a.whatsapp.webhook_keys"),
        ("METRICS__KEYS", "metrics.keys"),
        ("ADMIN__KEYS", "admin.keys"),
    ],
)
def test_a_short_key_is_refused_where_others_reach_the_bridge(exposed, variable, setting):
    line = {"BRIDGE_LINES__A__KEYS": f'["{LONG}"]'}
    message = refusal(exposed | line | {f"BRIDGE_{variable}": '["nineteen-characters"]'})
    assert setting in message
    assert "nineteen" not in message
    assert load(exposed | line).lines["a"].keys == [LONG]


@pytest.mark.parametrize("exposed", EXPOSED)
def test_the_demo_key_is_off_where_others_reach_the_bridge(exposed):
    assert "demo key is off" in refusal(exposed)


def test_a_public_url_of_this_machine_exposes_nothing():
    assert load({"BRIDGE_HTTP__PUBLIC_URL": "http://localhost:9000"}).lines == {}


@pytest.mark.parametrize("host", ["calls.example:443", "https://calls.example", "", "a/b"])
def test_an_allowed_host_is_a_name_and_nothing_else(host):
    environment = {"BRIDGE_HTTP__ALLOWED_HOSTS": f'["{host}"]'}
    assert "http.allowed_hosts" in refusal(environment | {"BRIDGE_LINES__A__KEYS": f'["{LONG}"]'})


def test_a_proxy_is_a_network():
    message = refusal({"BRIDGE_HTTP__TRUSTED_PROXIES": '["calls.example"]'})
    assert "http.trusted_proxies" in message
