"""What the doctor says about TURN."""

import pytest

from bridge.cli.doctor.turn import check_turn, evaluate, evaluate_none
from bridge.rtc.turn import RelayOutcome, RelayStep
from bridge.settings.model import Rtc, Settings, Turn
from tests.cli.doctor.surroundings import (
    assert_fails,
    assert_ok,
    assert_warns,
    only,
    surroundings,
)
from tests.support.inprocess import free_udp_ports
from tests.support.machine import free_port, own_address
from tests.support.servers.coturn import running_coturn

URL = "turn:t.example"


async def look(address: str, **settings):
    first = free_udp_ports(4)
    rtc = Rtc(bind=[address], ports=f"{first}-{first + 3}", stun_urls=[])
    async with surroundings(Settings(rtc=rtc, turn=Turn(**settings))) as around:
        return await check_turn(around)


@pytest.mark.coturn
async def test_a_packet_goes_through_every_url_with_the_credentials_of_browsers(tmp_path):
    address = own_address()
    if address.startswith("127."):
        pytest.skip("the machine has no address but loopback, which coturn refuses to relay to")
    with running_coturn(tmp_path, address, peer=address, secret="s3cret") as server:
        found = await look(address, mode="shared_secret", secret="s3cret", urls=[*server.urls()])
        assert len(found) == 2
        for finding in found:
            assert_ok(finding, f"by way of {address}")
        [wrong, _] = await look(
            address, mode="shared_secret", secret="another", urls=[*server.urls()]
        )
    assert_fails(wrong, "credentials", "static-auth-secret", setting="turn.secret")


@pytest.mark.virtual_time
async def test_a_server_that_is_not_there_is_told():
    url = f"turn:127.0.0.1:{free_port()}?transport=tcp"
    found = await look("127.0.0.1", mode="static", urls=[url], username="a", credential="b")
    assert_fails(only(found), "no answer", setting="turn.urls")


async def test_without_turn_others_are_warned():
    assert_ok(only(await look("127.0.0.1")))
    assert_warns(evaluate_none(exposed=True), "coturn", setting="turn.mode")


@pytest.mark.parametrize(
    ("step", "code", "setting"),
    [
        (RelayStep.CONNECT, 0, "turn.urls"),
        (RelayStep.CERTIFICATE, 0, "turn.urls"),
        (RelayStep.ALLOCATE, 401, "turn.secret"),
        (RelayStep.ALLOCATE, 486, ""),
        (RelayStep.ALLOCATE, 508, ""),
        (RelayStep.ALLOCATE, 500, "turn.urls"),
        (RelayStep.PERMISSION, 403, "rtc.external_address"),
        (RelayStep.THERE, 0, "rtc.ports"),
        (RelayStep.BACK, 0, "rtc.external_address"),
    ],
)
def test_every_step_that_fails_names_what_to_change(step, code, setting):
    assert_fails(evaluate(URL, "192.0.2.1", RelayOutcome(step, code)), URL, setting=setting)
