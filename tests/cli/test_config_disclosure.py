"""What is found of lines that disclose something, or should."""

import pytest

from bridge.cli.config import report
from bridge.cli.doctor.disclosure import check
from bridge.settings.model import Data, Disclosure, Line, Realtime, Settings, read


def settings(folder, **line):
    return Settings(data=Data(dir=str(folder)), lines={"a": Line(keys=["k"], **line)})


def test_a_text_without_a_provider_is_a_problem(tmp_path):
    found = check(settings(tmp_path, disclosure=Disclosure(text="A machine.")))
    [problem] = found.problems
    assert problem.startswith("lines.a.disclosure.text:")


def test_an_asset_that_the_line_does_not_have_is_a_problem(tmp_path):
    found = check(settings(tmp_path, disclosure=Disclosure(asset="asset_1")))
    [problem] = found.problems
    assert problem.startswith("lines.a.disclosure.asset:")


@pytest.mark.parametrize(("realtime", "warned"), [(Realtime(), True), (None, False)])
def test_a_model_that_callers_are_not_told_of_is_warned_of(tmp_path, realtime, warned):
    found = check(settings(tmp_path, realtime=realtime))
    assert not found.problems
    assert bool(found.warnings) is warned


def test_config_check_shows_the_warnings():
    assert report(read({}), ["a line says nothing"]).startswith("warning: a line says nothing\n")
