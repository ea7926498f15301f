"""Tests of the settings: the file, the environment, and what is refused."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.inspect import DictType, FloatType, IntType, StructType, type_info

from bridge.errors import SettingsError
from bridge.settings.model import Line, Settings, is_loopback, load, port_range

EXAMPLE = Path(__file__).parents[2] / "deploy" / "bridge.example.toml"


@pytest.fixture
def written(tmp_path):
    """Write a settings file and return its path."""

    def write(text):
        path = tmp_path / "bridge.toml"
        path.write_text(text)
        return path

    return write


def refusal(environment=None, path=None):
    with pytest.raises(SettingsError) as refused:
        load(environment or {}, path)
    return str(refused.value)


def test_without_anything_the_defaults_hold():
    assert load({}) == Settings()


# The example file


def test_the_example_lists_every_setting_with_its_default():
    defaults = msgspec.to_builtins(Settings())
    assert defaults.pop("lines") == {}
    assert tomllib.loads(EXAMPLE.read_text()) == defaults


def test_the_example_can_be_used_as_it_is():
    assert load({}, EXAMPLE) == Settings()


def test_the_line_in_the_example_is_one(written):
    text = EXAMPLE.read_text()
    start = text.index("# [lines.sales]")
    line = text[start:].replace("# ", "")
    settings = load({}, written(line))
    assert settings.lines["sales"].keys == ["replace-me-with-a-long-random-key"]
    assert settings.lines["sales"].whatsapp.provider == "simulator"
    assert settings.lines["office"].sip is not None


def test_every_setting_of_the_example_has_a_comment():
    lines = EXAMPLE.read_text().splitlines()
    bare = []
    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#"):
            above = number - 1
            while "=" in lines[above] and not lines[above].startswith("#"):
                above -= 1
            if not lines[above].startswith("#"):
                bare.append(line)
    assert bare == []


# Where settings come from


def test_the_file_sets_what_it_names_and_leaves_the_rest(written):
    settings = load({}, written("[http]\nport = 9000\n"))
    assert (settings.http.port, settings.http.host) == (9000, "127.0.0.1")


def test_the_environment_wins_over_the_file(written):
    path = written("[http]\nport = 9000\n[limits]\ncalls = 5\n")
    settings = load({"BRIDGE_HTTP__PORT": "9001"}, path)
    assert (settings.http.port, settings.limits.calls) == (9001, 5)


def test_the_environment_names_the_file(written):
    path = written("[simulator]\nring_seconds = 0.25\n")
    assert load({"BRIDGE_CONFIG": str(path)}).simulator.ring_seconds == 0.25


def test_a_file_on_the_command_line_wins_over_the_one_in_the_environment(written, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text("[http]\nport = 9002\n")
    path = written("[http]\nport = 9000\n")
    assert load({"BRIDGE_CONFIG": str(other)}, path).http.port == 9000


def test_a_key_without_a_section_comes_from_the_environment_too():
    assert load({"BRIDGE_NODES": "1"}).nodes == 1


def test_texts_from_the_environment_become_numbers_and_truths():
    settings = load({"BRIDGE_RTC__PROBE_PRIVATE": "true", "BRIDGE_LIMITS__RING_SECONDS": "2.5"})
    assert settings.rtc.probe_private is True
    assert settings.limits.ring_seconds == 2.5


def test_lists_and_tables_in_the_environment_are_json():
    settings = load(
        {
            "BRIDGE_RTC__BIND": '["10.0.0.7", "::1"]',
            "BRIDGE_RTC__STUN_URLS": "[]",
            "BRIDGE_TURN__MODE": "static",
            "BRIDGE_TURN__SERVERS": '[{"urls": ["turn:b"], "username": "b", "credential": "c"}]',
        }
    )
    assert settings.rtc.bind == ["10.0.0.7", "::1"]
    assert settings.rtc.stun_urls == []
    assert settings.turn.servers[0].username == "b"


def test_a_line_can_come_from_the_environment():
    settings = load({"BRIDGE_LINES__MAIN__KEYS": '["a-long-random-key"]'})
    assert settings.lines["main"].keys == ["a-long-random-key"]


def test_other_variables_are_left_alone():
    assert load({"PATH": "/bin", "BRIDGEHEAD": "1"}) == Settings()


# What is refused


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"BRIDGE_HTTP__PROT": "9000"}, ["prot", "http"]),
        ({"BRIDGE_HTPP__PORT": "9000"}, ["htpp"]),
        ({"BRIDGE_HTTP__PORT": "many"}, ["int", "http.port"]),
        ({"BRIDGE_RTC__BIND": "10.0.0.7"}, ["array", "rtc.bind"]),
        ({"BRIDGE_RTC__BIND": '["10.0.0.7"'}, ["rtc.bind", "array"]),
        ({"BRIDGE_NODES__X": "1"}, ["nodes"]),
        ({"BRIDGE_TURN__MODE": "magic"}, ["magic", "turn.mode"]),
        ({"BRIDGE_NODES": "-1"}, ["nodes"]),
        ({"BRIDGE_NODES": "257"}, ["nodes"]),
        ({"BRIDGE_RTC__PORTS": "20000"}, ["rtc.ports", "20000"]),
        ({"BRIDGE_RTC__BIND": '["my-host"]'}, ["rtc.bind", "my-host"]),
        ({"BRIDGE_RTC__EXTERNAL_ADDRESS": "my-host"}, ["external_address", "my-host"]),
        ({"BRIDGE_HTTP__TLS_CERT": "a.pem"}, ["http.tls_cert", "http.tls_key"]),
    ],
)
def test_a_mistake_is_named_with_its_key(environment, words):
    message = refusal(environment)
    assert [word for word in words if word not in message] == []


def numbers(section: type, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every numeric setting, with its place in the tree and its type."""
    shape: Any = type_info(section)
    for one in shape.fields:
        kind: Any = (
            next(iter(parts), None) if (parts := getattr(one.type, "types", ())) else one.type
        )
        if isinstance(kind, StructType):
            yield from numbers(kind.cls, (*prefix, one.name))
        elif isinstance(kind, DictType):
            yield from numbers(Line, (*prefix, one.name, "sales"))
        elif isinstance(kind, IntType | FloatType):
            yield ".".join((*prefix, one.name)), kind


NUMBERS = dict(numbers(Settings))


@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_below_its_lower_bound_is_refused_with_its_key(key):
    kind = NUMBERS[key]
    below = kind.gt if kind.ge is None else kind.ge - 1
    path = f"BRIDGE_{key.upper().replace('.', '__')}"
    assert f"{key}: expected" in refusal({"BRIDGE_LINES__SALES__KEYS": '["k"]', path: str(below)})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("calls", "0"),
        ("connections", "0"),
        ("unauthenticated_requests", "0"),
        ("ring_seconds", "0"),
        ("call_seconds", "0"),
        ("kept_seconds", "nan"),
    ],
)
def test_a_limit_that_would_let_nothing_through_is_refused(key, value):
    assert f"limits.{key}: expected" in refusal({f"BRIDGE_LIMITS__{key.upper()}": value})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[http]\nprot = 1\n", "prot"),
        ('[http]\nport = "many"\n', "http.port"),
        ("[http\n", "bridge.toml"),
        ("http = 3\n", "http"),
    ],
)
def test_a_mistake_in_the_file_is_named(written, text, word):
    assert word in refusal(path=written(text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert "missing.toml" in refusal(path=tmp_path / "missing.toml")


def test_a_variable_cannot_make_a_section_of_a_value(written):
    path = written('[http]\nhost = "127.0.0.1"\n')
    assert "BRIDGE_HTTP__HOST__NAME" in refusal({"BRIDGE_HTTP__HOST__NAME": "x"}, path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.com"])
def test_beyond_loopback_a_key_is_wanted_and_the_refusal_says_how(host):
    message = refusal({"BRIDGE_HTTP__HOST": host})
    assert host in message
    assert "BRIDGE_LINES__MAIN__KEYS" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_no_key_is_wanted(host):
    assert load({"BRIDGE_HTTP__HOST": host}).http.host == host
    assert is_loopback(host)


def test_beyond_loopback_with_a_key_is_fine():
    environment = {
        "BRIDGE_HTTP__HOST": "0.0.0.0",
        "BRIDGE_LINES__A__KEYS": '["the-long-key-of-line-a"]',
    }
    assert load(environment).http.host == "0.0.0.0"


@pytest.mark.parametrize("keys", ['["same"]', '[""]'])
def test_keys_are_there_and_belong_to_one_line(keys):
    environment = {"BRIDGE_LINES__A__KEYS": '["same"]', "BRIDGE_LINES__B__KEYS": keys}
    assert "lines.b.keys" in refusal(environment)


@pytest.mark.parametrize(
    ("turn", "word"),
    [
        ('mode = "shared_secret"\nurls = ["turn:a"]', "turn.secret"),
        ('mode = "shared_secret"\nsecret = "s"', "turn.urls"),
        ('mode = "static"', "turn.servers"),
        ('mode = "static"\nurls = ["turn:a"]\nusername = "u"', "turn.credential"),
        ('mode = "shared_secret"\nsecret = "s"\nurls = ["turn:a"]\nttl = 0', "turn.ttl"),
    ],
)
def test_a_half_filled_turn_slot_names_what_is_missing(written, turn, word):
    assert word in refusal(path=written(f"[turn]\n{turn}\n"))


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("rtc", "stun_urls", '["stun.example.com:3478"]'),
        ("rtc", "stun_urls", '["turn:a"]'),
        ("turn", "urls", '["https://turn.example.com"]'),
        ("turn", "servers", '[{urls = ["stun:a"], username = "u", credential = "c"}]'),
    ],
)
def test_an_address_that_browsers_would_refuse_is_refused(written, table, key, value):
    said = refusal(path=written(f"[{table}]\n{key} = {value}\n"))
    assert f"{table}.{key}" in said
    assert "does not begin with" in said


def test_a_port_range_includes_both_ends():
    assert port_range("20000-20002") == range(20000, 20003)
    assert len(port_range("7-7")) == 1


@pytest.mark.parametrize("text", ["", "1", "5-4", "0-5", "1-65536", "a-b", "-5"])
def test_a_port_range_that_is_none_is_refused(text):
    with pytest.raises(SettingsError, match=r"rtc\.ports"):
        port_range(text)


def test_a_bind_to_every_address_needs_to_know_what_to_tell_browsers():
    everywhere = {"BRIDGE_RTC__BIND": '["0.0.0.0"]'}
    with pytest.raises(SettingsError, match=r"external_address"):
        load(everywhere)
    load(everywhere | {"BRIDGE_RTC__EXTERNAL_ADDRESS": "192.0.2.1"})


def test_a_secret_that_begins_like_json_stays_text():
    environment = {
        "BRIDGE_TURN__MODE": "shared_secret",
        "BRIDGE_TURN__URLS": '["turn:t.example"]',
        "BRIDGE_TURN__SECRET": "[not json",
    }
    assert load(environment).turn.secret == "[not json"


CLOUD = {
    "PROVIDER": "cloud",
    "PHONE_NUMBER_ID": "900800700600500",
    "ACCESS_TOKEN": "t",
    "APP_SECRET": "s",
    "VERIFY_TOKEN": "v",
}
GATEWAY = {"PROVIDER": "gateway", "URL": "https://engine.example.com", "TOKEN": "t"}


def whatsapp(values):
    found = {f"BRIDGE_LINES__A__WHATSAPP__{key}": value for key, value in values.items()}
    return found | {"BRIDGE_LINES__A__KEYS": '["k"]'}


@pytest.mark.parametrize("values", [CLOUD, GATEWAY, {"PROVIDER": "simulator"}])
def test_a_line_has_a_provider(values):
    line = load(whatsapp(values)).lines["a"]
    assert line.whatsapp.provider == values["PROVIDER"]


@pytest.mark.parametrize(
    ("values", "key"),
    [
        *(({**CLOUD, key: ""}, key.lower()) for key in list(CLOUD)[1:]),
        *(({**GATEWAY, key: ""}, key.lower()) for key in list(GATEWAY)[1:]),
        ({**GATEWAY, "DIALECT": "wadial"}, "session"),
        ({**CLOUD, "PHONE_NUMBER_ID": "+15550109000"}, "phone_number_id"),
        ({**CLOUD, "VERSION": "24"}, "version"),
        ({**CLOUD, "AUTH_HEADER": "X-API-Key"}, "auth_header"),
        ({**CLOUD, "PATH": "/calls"}, "path"),
        ({**CLOUD, "PATH": "/{token}{path}"}, "path"),
        ({**CLOUD, "SETTINGS_PATH": "settings"}, "settings_path"),
        ({**CLOUD, "SIGNATURE_HEADER": "X-A: b"}, "signature_header"),
        ({**CLOUD, "BASE_URL": "graph.facebook.com"}, "base_url"),
        ({**GATEWAY, "URL": "ftp://engine"}, "url"),
    ],
)
def test_a_provider_that_is_not_filled_in_names_the_key(values, key):
    assert f"lines.a.whatsapp.{key}" in refusal(whatsapp(values))


def test_a_network_that_is_none_names_the_key():
    assert "net.allow" in refusal({"BRIDGE_NET__ALLOW": '["10.0.0.0/33"]'})
    assert "net.allow" in refusal({"BRIDGE_NET__ALLOW": '["10.0.0.1/8"]'})
    assert "net.deny" in refusal({"BRIDGE_NET__DENY": '["10.0.0.1/8"]'})


@pytest.mark.parametrize("text", ["dns.example", "127.0.0.1:0", "127.0.0.1:", "[::1]:70000", ""])
def test_what_is_no_name_server_is_refused(text):
    wanted = json.dumps([text])
    assert "net.nameservers" in refusal({"BRIDGE_NET__NAMESERVERS": wanted})


def test_name_servers_may_have_a_port():
    wanted = ["127.0.0.1", "127.0.0.1:5353", "::1", "[::1]:5353"]
    chosen = load({"BRIDGE_NET__NAMESERVERS": json.dumps(wanted)})
    assert chosen.net.nameservers == wanted


@pytest.mark.parametrize(
    "line",
    [
        "end_seconds = 0",
        "talk_seconds = -1.0",
        "stt_seconds = nan",
        "voice_detectors = -1",
        "no_input_prompts = -1",
        "filler_seconds = -0.1",
        "sound_bytes = 0",
    ],
)
@pytest.mark.parametrize("section", ["agent", "lines.sales.agent"])
def test_an_agent_that_could_not_talk_is_refused(section, line, written):
    text = f"[lines.sales]\nkeys = ['k']\n[{section}]\n{line}\n"
    key = line.partition(" ")[0]
    assert f"{section}.{key}: expected" in refusal(path=written(text))


def test_a_line_can_have_an_agent_of_its_own(written):
    text = "[lines.sales]\nkeys = ['k']\n[lines.sales.agent]\nnudge = 'Hallo?'\n"
    agent = load({}, written(text)).lines["sales"].agent
    assert agent is not None
    assert agent.no_input_prompt == "Hallo?"
