"""`media-bridge config check` and `config show`: what is printed, and the exit code."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bridge.__main__ import build_parser, main
from bridge.cli import config
from bridge.errors import SettingsError
from bridge.settings.model import Settings
from tests.support.server import PROJECT

KEY = "a-long-random-key-of-a-line"


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run `config` with a settings file and an environment; return the exit code and what it printed."""
    for name in [name for name in os.environ if name.startswith("BRIDGE_")]:
        monkeypatch.delenv(name)

    def run(*arguments, text=None, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(f"BRIDGE_{name}", value)
        file = tmp_path / "my.toml"
        if text is not None:
            file.write_text(text)
        before = [] if text is None else ["--config", str(file)]
        code = config.run(build_parser().parse_args([*before, "config", *arguments]))
        return code, capsys.readouterr().out.replace(str(tmp_path), "")

    return run


def test_settings_without_a_mistake_are_ok(command):
    assert command("check", text="[http]\nport = 9000\n") == (0, "ok: /my.toml\n")


def test_without_a_file_the_defaults_are_ok(command):
    assert command("check") == (0, "ok: no settings file, all defaults\n")
    assert command("check", HTTP__PORT="1") == (0, "ok: 1 environment variable, no settings file\n")


def test_every_problem_is_a_line_and_the_exit_code_is_1(command):
    code, printed = command("check", text="[http]\nprot = 1\n[rtc]\nports = '1'\n", NODES="many")
    lines = printed.splitlines()
    assert code == 1
    assert lines[0].startswith("nodes: expected")
    assert lines[1].startswith("http.prot: there is no such setting; did you mean http.port?")
    assert lines[2].startswith("rtc.ports: expected")
    assert lines[3].startswith("3 problems in /my.toml and 1 environment variable")


def test_a_former_name_is_a_warning_that_says_what_to_write(command):
    code, printed = command("check", text="[media]\nrelay = false\n")
    assert code == 0
    assert printed.splitlines() == [
        "warning: media.relay is a former name: write media.passthrough",
        "ok: /my.toml",
    ]


def test_a_former_name_is_a_warning_in_the_log_at_the_start(monkeypatch, caplog):
    monkeypatch.setenv("BRIDGE_MEDIA__RELAY", "false")
    monkeypatch.setattr("sys.argv", ["media-bridge"])
    monkeypatch.setattr("bridge.log.setup", lambda level, style: None)
    started: list[Settings] = []
    monkeypatch.setattr("bridge.serve.run", started.append)
    main()
    (record,) = [vars(one) for one in caplog.records if one.message == "settings.renamed"]
    assert (record["setting"], record["write"]) == (
        "BRIDGE_MEDIA__RELAY",
        "BRIDGE_MEDIA__PASSTHROUGH",
    )
    assert not started[0].media.passthrough


def test_a_setting_under_a_former_name_is_shown_under_its_own(command):
    _, printed = command("show", text="[media]\nrelay = false\n")
    assert "passthrough = false  # file\n" in printed


def test_lines_that_share_an_inbound_user_name_are_a_problem(command):
    line = '[lines.{0}]\nkeys = ["a-long-random-key-of-{0}"]\n[lines.{0}.sip]\ntrunk = "sip:trunk.test"\n'
    user = 'inbound_username = "pbx"\ninbound_password = "secret of {0}"\n'
    code, printed = command(
        "check", text="".join((line + user).format(n) for n in ("alice", "bob"))
    )
    assert (code, printed.partition(":")[0]) == (1, "lines.bob.sip.inbound_username")
    assert "secret" not in printed


def test_the_file_can_be_named_behind_the_command(command, tmp_path):
    file = tmp_path / "other.toml"
    file.write_text("[http\n")
    assert command("check", str(file))[0] == 1


def test_the_settings_are_shown_as_toml_with_where_each_comes_from(command):
    text = f'[http]\nport = 9000\n[lines.a]\nkeys = ["{KEY}"]\n'
    code, printed = command("show", text=text, LIMITS__CALLS="7")
    shown = tomllib.loads(printed)
    assert code == 0
    assert shown["http"]["port"] == 9000
    assert shown["lines"]["a"]["keys"] == ["(hidden)"]
    assert "port = 9000  # file\n" in printed
    assert "calls = 7  # BRIDGE_LIMITS__CALLS\n" in printed
    assert 'host = "127.0.0.1"  # default\n' in printed


def test_changed_shows_only_what_differs_from_the_default(command):
    text = f'[http]\nport = 8080\nhost = "::1"\n[lines.a]\nkeys = ["{KEY}"]\n'
    _, printed = command("show", "--changed", text=text)
    assert tomllib.loads(printed) == {
        "http": {"host": "::1"},
        "lines": {"a": {"keys": ["(hidden)"]}},
    }


def test_faulty_settings_are_not_shown(command):
    with pytest.raises(SettingsError, match=r"http\.prot.*1 more: media-bridge config check"):
        command("show", text='[http]\nprot = 1\nport = "many"\n')


def test_the_command_as_an_operator_runs_it(tmp_path: Path):
    file = tmp_path / "my.toml"
    file.write_text("[http]\nprot = 1\n")
    done = subprocess.run(
        (sys.executable, "-m", "bridge", "--config", str(file), "config", "check"),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "did you mean http.port?" in done.stdout
    assert done.stderr == ""
