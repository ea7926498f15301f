"""The UDP ports for media."""

import socket
from contextlib import ExitStack

import pytest

from bridge.cli.doctor.media_ports import PortSurvey, check_media_ports, evaluate, survey_ports
from bridge.settings.model import Limits, Rtc, Settings
from tests.cli.doctor.surroundings import (
    assert_fails,
    assert_ok,
    assert_warns,
    only,
    surroundings,
)
from tests.support.inprocess import free_udp_ports

HERE = "127.0.0.1"


def taking(ports) -> ExitStack:
    stack = ExitStack()
    for port in ports:
        taken = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        taken.bind((HERE, port))
    return stack


async def look(ports: range, *, bind: str = HERE, calls: int = 1, running: bool = False):
    chosen = Settings(
        rtc=Rtc(bind=[bind], ports=f"{ports[0]}-{ports[-1]}"), limits=Limits(calls=calls)
    )
    async with surroundings(chosen, running=running) as around:
        return await check_media_ports(around)


@pytest.fixture
def ports():
    first = free_udp_ports(6)
    return range(first, first + 6)


async def test_free_ports_are_reached_by_a_second_socket(ports):
    assert_ok(only(await look(ports)), "all 6 UDP ports")


async def test_ports_of_other_programs_are_told(ports):
    with taking(ports[:2]):
        assert_warns(only(await look(ports)), "2 of 6", setting="rtc.ports")
    with taking(ports):
        assert_fails(only(await look(ports)), "6 of 6", setting="rtc.ports")


async def test_beside_a_running_bridge_its_ports_are_not_taken(ports):
    with taking(ports[:2]):
        assert_ok(only(await look(ports, running=True)), "4 of 6", "running bridge")


async def test_an_address_of_another_machine_is_told(ports):
    assert_fails(only(await look(ports, bind="192.0.2.1")), "192.0.2.1", setting="rtc.bind")


async def test_fewer_ports_than_calls_are_told(ports):
    assert_warns((await look(ports, calls=7))[1], "limits.calls allows 7", setting="rtc.ports")


def test_a_datagram_that_does_not_arrive_is_told():
    lost = PortSurvey(HERE, free=(5000,), unreached=(5000,))
    assert_fails(evaluate(lost, running=False), "UDP port 5000", "firewall", setting="rtc.ports")


def test_ports_that_need_rights_are_told():
    assert_fails(evaluate(PortSurvey(HERE, forbidden=(80,)), running=False), "1 of 1", "1023")


def test_nothing_stays_bound(ports):
    assert survey_ports(HERE, ports) == survey_ports(HERE, ports) == PortSurvey(HERE, tuple(ports))
