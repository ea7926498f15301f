"""Tests of reading settings that are faulty: all that is wrong, and where each value comes from."""

import pytest

from bridge.settings.model import read


@pytest.fixture
def written(tmp_path):
    """Write a settings file and return its path."""

    def write(text):
        path = tmp_path / "bridge.toml"
        path.write_text(text)
        return path

    return write


def test_every_contradiction_is_found_and_not_only_the_first(written):
    path = written('[turn]\nmode = "static"\n[rtc]\nports = "1"\n[http]\ntls_cert = "a.pem"\n')
    found = read({}, path).problems
    assert [text.partition(":")[0].partition(" ")[0] for text in found] == [
        "rtc.ports",
        "http.tls_cert",
        "turn.mode",
    ]


def test_a_section_with_a_mistake_is_not_compared_with_others(written):
    """What it would contradict may be what is wrong."""
    path = written('[turn]\nmode = "shared_secret"\nurls = ["turn:a"]\nsecrt = "s"\n')
    [problem] = read({}, path).problems
    assert problem.startswith("turn.secrt")


def test_a_file_that_cannot_be_read_is_the_only_problem(written):
    environment = {"BRIDGE_HTTP__PORT": "many"}
    assert len(read(environment, written("[http\n")).problems) == 1


def test_a_reading_says_where_each_value_comes_from(written):
    path = written('[http]\nport = 1\nhost = "::1"\n')
    origins = read({"BRIDGE_HTTP__PORT": "9000"}, path).origins
    assert origins[("http", "port")] == "BRIDGE_HTTP__PORT"
    assert origins[("http", "host")] == "file"
    assert ("http", "tls_key") not in origins
