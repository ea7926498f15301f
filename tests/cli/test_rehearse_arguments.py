"""The arguments of the command `rehearse`."""

import argparse

import pytest

from bridge.cli.rehearse_arguments import add_arguments


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["a.toml", *arguments])


def test_a_bot_may_connect_at_any_port_or_at_one():
    assert parsed().listen is None
    assert parsed("--listen").listen == 0
    assert parsed("--listen", "8123").listen == 8123


def test_calls_at_the_same_time_are_at_least_one(capsys: pytest.CaptureFixture[str]):
    assert parsed("--at-once", "3").at_once == 3
    with pytest.raises(SystemExit):
        parsed("--at-once", "0")
    assert "expected a number from 1 on" in capsys.readouterr().err
