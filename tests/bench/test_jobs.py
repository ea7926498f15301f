"""What the bench runs."""

from importlib.util import find_spec

import pytest

from tests.bench.jobs import LOSSES, RECORDED_TURNS, SECTIONS, jobs

LIBWEBRTC = ["wrtc"] if find_spec("webrtc") else []


def targets(*sections, quick=False):
    return [one.target for one in jobs(sections, legs=[4, 24, 48], seconds=6.0, quick=quick)]


@pytest.mark.parametrize(
    ("section", "runs"),
    [
        ("echo", ["echo", "stock", *LIBWEBRTC]),
        ("janus", ["janus"]),
        ("passthrough", ["pcm", "passthrough"]),
        (
            "capacity",
            [
                "pcm capacity",
                "passthrough capacity",
                "pcm python capacity",
                "passthrough python capacity",
                "pcm apart capacity",
                "passthrough apart capacity",
            ],
        ),
        ("silent", ["pcm silent", "passthrough silent"]),
        ("nodes", ["one node", "two nodes"]),
        ("loss", ["loss"]),
        ("jitter", ["mix"]),
        ("recording", ["pcm kept", "passthrough kept"]),
    ],
)
def test_a_section_has_its_servers(section, runs):
    assert targets(section) == runs


def test_every_section_is_known():
    assert len(targets(*SECTIONS)) == 19 + len(LIBWEBRTC)


def test_the_stock_server_is_not_driven_beyond_its_core():
    stock = jobs(["echo"], legs=[4, 24, 48, 96], seconds=6.0)[1]
    assert [step.legs for step in stock.steps] == [24]


def test_janus_is_measured_with_as_many_legs_as_it_is_compared_at():
    (janus,) = jobs(["janus"], legs=[4, 24, 48, 96], seconds=6.0)
    assert [step.legs for step in janus.steps] == [24, 48]


def test_every_spell_of_loss_is_followed_by_a_clean_window():
    (job,) = jobs(["loss"], legs=[24], seconds=6.0)
    assert [step.loss for step in job.steps] == [
        0.0,
        *(loss for spell in LOSSES for loss in (spell, 0.0)),
    ]
    assert all(step.settle >= 2.0 for step in job.steps if step.what.startswith("after"))


def test_a_quick_run_takes_one_step_of_a_growing_load():
    for job in jobs(["capacity"], legs=[24], seconds=3.0, quick=True):
        assert len({step.legs for step in job.steps}) == 1


def test_calls_are_measured_unrecorded_and_recorded_in_turn():
    for job in jobs(["recording"], legs=[24], seconds=5.0):
        assert [step.recorded for step in job.steps] == [False, True] * RECORDED_TURNS
        assert {step.legs for step in job.steps} == {48}


def test_what_a_core_carries_is_told_by_long_windows_without_and_with_scrapes():
    for job in jobs(["capacity"], legs=[24], seconds=5.0):
        assert job.bulk
        plain, scraped = job.steps[::2], job.steps[1::2]
        assert {(step.seconds, step.scrape) for step in plain} == {(5.0, 0.0)}
        assert {(step.seconds, step.scrape) for step in scraped} == {(10.0, 5.0)}
        assert [step.legs for step in plain] == [step.legs for step in scraped]


def test_every_window_that_tells_a_capacity_follows_two_thousand_packets():
    for job in jobs(["capacity"], legs=[24], seconds=5.0):
        assert min(50 * step.legs * step.seconds for step in job.steps) >= 2_000


def test_both_packet_paths_are_looked_at():
    paths = [
        job.environment.get("BRIDGE_RTC__COMPILED")
        for job in jobs(["capacity"], legs=[24], seconds=5.0)
    ]
    assert paths == [None, None, "false", "false", None, None]


def test_legs_are_silent_and_talking_in_turn():
    for job in jobs(["silent"], legs=[24], seconds=5.0):
        assert [step.silent for step in job.steps] == [False, True] * 2


def test_two_legs_are_measured_with_as_many_as_an_echo():
    pcm, passthrough = jobs(["passthrough"], legs=[4, 24, 48, 96, 200], seconds=5.0)
    assert (
        [step.legs for step in pcm.steps]
        == [step.legs for step in passthrough.steps]
        == [24, 48, 96, 200]
    )
