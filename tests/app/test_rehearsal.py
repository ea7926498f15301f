"""A process that rehearses carries a call, and takes it over, where nobody can see it."""

import logging

import msgspec
import pytest

from bridge.app.rehearsal import rehearse, rehearsed
from bridge.settings.model import Data, Line, Rtc, Settings, WhatsApp
from tests.support.inprocess import free_udp_ports

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize("compiled", [True, pytest.param(False, marks=pytest.mark.full)])
async def test_a_call_is_carried_and_taken_over_from_its_copy(tmp_path, caplog, compiled):
    caplog.set_level(logging.INFO)
    first = free_udp_ports()
    chosen = Settings(
        data=Data(dir=str(tmp_path / "data")),
        rtc=Rtc(ports=f"{first}-{first + 39}", compiled=compiled),
    )
    await rehearse(chosen, tmp_path / "rehearsal")
    told = [record.message for record in caplog.records]
    for each in ("leg.connected", "call.taken_over", "call.recovered", "call.ended"):
        assert told.count(each) == 1, told
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert not (tmp_path / "data").exists()


def test_nobody_outside_is_reached(tmp_path):
    chosen = Settings(
        data=Data(dir="/data", url="postgresql://elsewhere"),
        lines={"sales": Line(keys=["key"], whatsapp=WhatsApp(provider="cloud"))},
        rtc=Rtc(bind=["192.0.2.1"], external_address="192.0.2.2", realtime=True, tick_ms=1),
    )
    found = rehearsed(chosen, tmp_path)
    assert found.data == Data(dir=str(tmp_path))
    assert (found.lines, found.sip) == ({}, Settings().sip)
    unreachable = msgspec.structs.replace(
        chosen.rtc, bind=["127.0.0.1"], external_address="", realtime=False
    )
    assert found.rtc == unreachable
