"""What the doctor says of the process that waits for a node that dies."""

from tempfile import TemporaryDirectory

from bridge.cli.doctor import recovery
from bridge.cli.doctor.recovery import check_recovery, evaluate
from bridge.cluster.memory_limit import MIN_FOR_SPARE
from bridge.settings.model import Data, Recovery, Settings
from bridge.supervisor.control import control_path, serving
from bridge.wire.supervision import Failed, Inspect, Spares
from tests.cli.doctor.surroundings import assert_ok, assert_warns, only, surroundings


async def look(settings, *, running=False):
    async with surroundings(settings, running=running) as around:
        return only(await check_recovery(around))


async def test_the_supervisor_that_runs_is_asked():
    asked = []

    async def perform(request, report):
        asked.append(request)
        report(Spares(ready=1, memory=81_400_000))

    # Not pytest's folder: its path is too long for a socket.
    with TemporaryDirectory(prefix="bridge-") as folder:
        settings = Settings(data=Data(dir=folder))
        async with serving(control_path(folder), perform):
            assert_ok(await look(settings, running=True), "81 MB")
        assert_ok(await look(settings, running=True), "does not say")
    assert asked == [Inspect()]


def test_a_spare_that_is_ready_is_told_with_its_memory():
    assert_ok(evaluate(Spares(ready=1, memory=81_400_000), wanted=True), "1 spare", "81 MB")


def test_one_that_is_not_ready_or_not_kept_is_told():
    assert_warns(evaluate(Spares(ready=0), wanted=True), "no spare", setting="recovery.spare")
    short = Spares(ready=0, why_not="512 MiB of memory are allowed")
    assert_warns(evaluate(short, wanted=True), "512 MiB", "1024 MiB", setting="recovery.spare")
    assert_ok(evaluate(Spares(ready=0, why_not="it is off"), wanted=False), "it is off")


def test_a_bridge_without_a_supervisor_has_none():
    assert_ok(evaluate(Failed(text="start it with --supervised"), wanted=True), "--supervised")
    assert_ok(evaluate(None, wanted=True), "does not say")


async def test_without_a_bridge_it_says_what_one_would_have(monkeypatch):
    monkeypatch.setattr(recovery, "memory_limit", lambda: MIN_FOR_SPARE - 1)
    assert_warns(await look(Settings()), "1023 MiB", setting="recovery.spare")
    assert_ok(await look(Settings(recovery=Recovery(spare=False))), "is started")
    assert_ok(await look(Settings(recovery=Recovery(enabled=False))), "recovery.enabled is false")
    monkeypatch.setattr(recovery, "memory_limit", lambda: None)
    assert_ok(await look(Settings()), "waits")
