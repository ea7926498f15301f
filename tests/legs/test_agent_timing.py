"""The stopwatch of an agent."""

from bridge.legs.agent_timing import Stopwatch, in_milliseconds


def test_each_step_is_timed_until_its_first_result():
    told = []
    watch = Stopwatch(lambda step, seconds: told.append((step, round(seconds, 3))))
    watch.restart(10.0)
    watch.lap("stt", 10.2)
    watch.lap("llm", 10.5)
    watch.lap("tts", 10.7, since=10.6)
    watch.lap("tts", 12.0, since=11.0)
    timing = watch.spoke(10.75)
    assert timing is not None
    assert timing.at == 10.75
    assert in_milliseconds(timing) == {
        "sttMs": 200, "llmMs": 300, "ttsMs": 100, "firstAudioMs": 750, "overheadMs": 150
    }  # fmt: skip
    assert told == [("stt", 0.2), ("llm", 0.3), ("tts", 0.1), ("total", 0.75)]
    assert watch.spoke(11.0) is None
