"""The command `rehearse`, as far as it needs no call."""

from pathlib import Path

import pytest

from bridge.__main__ import build_parser
from bridge.cli import rehearse


def run(*arguments: str | Path) -> int:
    return rehearse.run(build_parser().parse_args(["rehearse", *map(str, arguments)]))


def test_a_scenario_with_a_mistake_is_named_and_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "a.toml"
    path.write_text('[[steps]]\nsai = "Hello."\n')
    assert run(path) == 2
    assert f"{path}: steps[1]: has none of the keys" in capsys.readouterr().err


def test_the_mistakes_of_all_files_are_named_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text("seconds = 0\n[[steps]]\nwait = 1\n")
    assert run(tmp_path) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_name_that_no_scenario_has_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "a.toml").write_text("[[steps]]\nwait = 1\n")
    assert run(tmp_path, "--only", "b") == 2
    assert "--only b: no scenario has this in its name" in capsys.readouterr().err


def test_a_bot_is_dialled_or_waited_for_but_not_both(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        run("a.toml", "--bot", "ws://x/", "--listen")
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.call
@pytest.mark.full
@pytest.mark.espeak
def test_the_demonstration_is_rehearsed_without_any_bot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "a.toml").write_text(
        '[[steps]]\nwait_for = "answer"\n[[steps]]\nwait = 0.5\n[expect]\nturns = 3\ngreeting = 10\n'
    )
    report = tmp_path / "out" / "a.xml"
    assert run(tmp_path / "a.toml", "--junit", report, "--html", tmp_path / "out") == 1
    said = capsys.readouterr().out
    assert "FAILED  a" in said
    assert "turns: expected 3, got 0" in said
    assert b"turns: expected 3, got 0" in report.read_bytes()
    assert (tmp_path / "out" / "rehearsal.html").stat().st_size > 1000
