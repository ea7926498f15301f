"""Scenarios from files, and what is said of mistakes in them."""

from pathlib import Path

import pytest

from bridge.rehearse.scenario import Press, Say, WaitFor
from bridge.rehearse.scenario_file import ScenarioError, find, load, parse

FILE = Path("calls/hours.toml")
STEP = '\n[[steps]]\nsay = "Hello."\n'


def mistakes(text: str, file: Path = FILE) -> str:
    with pytest.raises(ScenarioError) as raised:
        parse(text, file)
    return str(raised.value)


def test_a_scenario_is_named_after_its_file():
    scenario = parse(STEP, FILE)
    assert (scenario.name, scenario.title, scenario.file) == ("hours", "hours", "calls/hours.toml")


def test_steps_keep_their_order_and_their_options():
    text = (
        STEP
        + "expect.wait = 1.2\n[[steps]]\nwait_for = 'digits'\ndigits = '12'\n[[steps]]\ndigits = '#'\n"
    )
    first, second, third = parse(text, FILE).steps
    assert isinstance(first, Say)
    assert first.expect.wait == 1.2
    assert isinstance(second, WaitFor)
    assert second.digits == "12"
    assert isinstance(third, Press)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[expect]\ngretting = 1" + STEP, "calls/hours.toml: expect.gretting: there is no such setting; did you mean expect.greeting?"),
        ("[caller]\nspeed = 'fast'" + STEP, "calls/hours.toml: caller.speed: expected `int`, got `str`"),
        ("[caller]\nnoise = 'pinkk'" + STEP, "caller.noise: there is no noise or file 'pinkk'; did you mean pink?"),
        (STEP + "voise = 'de'", "steps[1].voise: there is no such setting; did you mean voice?"),
        (STEP + "[[steps]]\nbackchanel = 'hm'", "steps[2]: has none of the keys wait_for, say, backchannel"),
        (STEP + "play = 'x.wav'", "steps[1]: has say and play, but does one thing only"),
        ("[[steps]]\nplay = 'x.wav'", "steps[1].play: there is no file calls/x.wav"),
        ("[[steps]]\nwait_for = 'words'", 'steps[1].words: is needed with wait_for = "words"'),
        ("[[steps]]\nwait = 1\nexpect.wait = 1", "steps[1].expect.wait: is for say, play, barge_in only"),
        (STEP + "expect.goes_on = true", "steps[1].expect.goes_on: is for backchannel"),
        ("[bot]\nurl = 'http://x'" + STEP, "bot.url: expected a URL with ws or wss"),
        ("[bot]\nlisten = true\nprotocol = 'twilio'" + STEP, "bot.protocol: with `listen` expected one of native, zuckzapgo, wadial, webrtc, livekit, got 'twilio'"),
        ("[bot]\ncommand = 'x'" + STEP, "bot.command: needs `url`"),
        ("[bot]\nurl = 'ws://x:{port}'\ncommand = 'x'" + STEP, "bot.command: has to name {port} if `url` does"),
        (STEP + "expect.kind = 'noise'", "steps[1].expect.kind: is for backchannel, barge_in only"),
        ("[expect]\nlevel = [-10, -30]" + STEP, "expect.level: expected the smaller number first"),
        ("[expect]\nhang_up_within = 1" + STEP, "expect.hang_up_within: needs hang_up"),
        ("", "steps: expected 1 to 500"),
        ("title = ", "calls/hours.toml: Invalid value"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_file_and_key_with_the_nearest_known_one(text: str, said: str):
    assert said in mistakes(text)


def test_all_mistakes_are_named_at_once():
    assert (
        len(mistakes("seconds = 'x'\n[expect]\nturns = -1" + STEP + "pitch = 200").splitlines())
        == 3
    )


def test_a_folder_has_its_scenarios_by_name(tmp_path: Path):
    for name in ("b.toml", "a.toml", "notes.txt"):
        (tmp_path / name).write_text(STEP)
    assert [path.name for path in find([tmp_path])] == ["a.toml", "b.toml"]


def test_a_folder_without_scenarios_is_a_mistake(tmp_path: Path):
    with pytest.raises(ScenarioError, match="there is no scenario"):
        find([tmp_path])


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path):
    with pytest.raises(ScenarioError, match="No such file"):
        load(tmp_path / "a.toml")
