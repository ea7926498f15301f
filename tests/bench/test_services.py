"""The sections that need no growing load."""

from tests.bench import services
from tests.bench.reports.targets import Results


def test_a_section_that_fails_is_named_and_the_others_go_on(monkeypatch):
    done = []

    def fail(results, **more):
        raise RuntimeError("it did not start")

    monkeypatch.setattr(services, "_playback", fail)
    monkeypatch.setattr(services, "_agent", lambda results, **more: done.append("agent"))
    results = Results()
    services.measure(["playback", "agent"], results, seconds=5.0, quick=True)
    assert results.failed == ["playback"]
    assert done == ["agent"]


def test_what_is_not_wanted_is_not_measured(monkeypatch):
    for part in ("_crossing", "_speech", "_sockets", "_playback", "_agent", "_events"):
        monkeypatch.setattr(services, part, None)
    results = Results()
    services.measure(["echo"], results, seconds=5.0, quick=True)
    assert results.failed == []
