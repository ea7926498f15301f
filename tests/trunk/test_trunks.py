"""Trunks are asked whether they are there, and registrations are kept."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from bridge.http.resolver import LookupFailed
from bridge.sip.boundary import Credentials, OptionsAnswered, RegistrationChanged
from bridge.trunk.admission import InboundTrunk, SipAdmission
from bridge.trunk.targets import SipTargets
from bridge.trunk.trunk import TrunkAddress
from bridge.trunk.trunks import ANSWER_SECONDS, MAX_PAUSE, SipTrunks, TrunkHealth
from tests.support.sip.sip_agent_double import AgentDouble

pytestmark = pytest.mark.virtual_time

FIRST, SECOND = "192.0.2.1", "192.0.2.2"
PLAIN = TrunkAddress(name="office", host="trunk.test", port=5060)
ACCOUNT = TrunkAddress(
    name="office",
    host="trunk.test",
    port=5060,
    credentials=Credentials("me", "secret"),
    register_seconds=600,
)


class Names:
    """Knows the trunk's addresses."""

    async def resolve(self, host):
        if host != "trunk.test":
            raise LookupFailed("the name has no address", outcome="nothing")
        return [ip_address(text) for text in (FIRST, SECOND)]

    async def services(self, name):
        raise LookupFailed("nothing", outcome="nothing")


class Keeping:
    """The keeper of one trunk, whose addresses answer OPTIONS with what `codes` says."""

    def __init__(self):
        self.agent = AgentDouble()
        self.admission = SipAdmission([InboundTrunk(name="office")])
        targets = self.agent.targets = SipTargets(Names(), now=self.agent.now)
        self.trunks = SipTrunks(self.agent, targets, self.admission)
        self.trunks.on_change = lambda name, health: self.changes.append((name, health))
        self.changes: list[Any] = []
        self.codes = {FIRST: 200, SECOND: 200}
        self.asked: list[str] = []
        self.agent.notes.on_options = self.options

    def options(self, name, target):
        self.asked.append(target.host)
        code = self.codes[target.host]
        if code is not None:
            asyncio.get_running_loop().call_later(
                0.05, self.trunks.options_answered, OptionsAnswered(name, code)
            )

    def registered(self, code=200):
        self.trunks.registration_changed(RegistrationChanged("office", code == 200, code))

    @property
    def registrations(self):
        return [each.target.host for each in self.agent.notes.registered]


@pytest.fixture
async def keeping():
    made = Keeping()
    yield made
    await made.trunks.aclose()


async def test_a_trunk_that_answers_is_reachable(keeping):
    keeping.trunks.keep(PLAIN)
    assert keeping.trunks.health("office") == TrunkHealth()
    await asyncio.sleep(1)
    assert keeping.trunks.health("office") == TrunkHealth(reachable=True)
    assert keeping.changes == [("office", TrunkHealth(reachable=True))]
    await asyncio.sleep(60)
    assert keeping.asked == [FIRST] * 3
    assert len(keeping.changes) == 1
    assert keeping.registrations == []


@pytest.mark.parametrize("code", [404, 405, 501, 503])
async def test_any_answer_proves_that_it_is_there(keeping, code):
    keeping.codes[FIRST] = code
    keeping.trunks.keep(PLAIN)
    await asyncio.sleep(1)
    assert keeping.trunks.health("office").reachable


async def test_the_next_address_is_asked_where_one_does_not_answer(keeping):
    keeping.codes[FIRST] = None
    keeping.trunks.keep(PLAIN)
    await asyncio.sleep(ANSWER_SECONDS + 1)
    assert keeping.asked == [FIRST, SECOND]
    assert keeping.trunks.health("office").reachable


async def test_silence_of_one_address_is_not_taken_for_that_of_the_next(keeping):
    keeping.codes = {FIRST: None, SECOND: None}
    keeping.trunks.keep(PLAIN)
    await asyncio.sleep(ANSWER_SECONDS + 1)
    first, second = (told[1] for told in keeping.agent.notes.told if told[0] == "options")
    keeping.trunks.options_answered(OptionsAnswered(first, 0))
    keeping.trunks.options_answered(OptionsAnswered(second, 200))
    await asyncio.sleep(0.1)
    assert keeping.trunks.health("office").reachable


async def test_a_trunk_that_is_down_is_asked_ever_less_often_and_found_again(keeping):
    keeping.codes = {FIRST: 0, SECOND: 0}
    keeping.trunks.keep(PLAIN)
    await asyncio.sleep(1)
    assert keeping.trunks.health("office") == TrunkHealth(
        reachable=False, last_error="no address responds"
    )
    await asyncio.sleep(1000)
    assert len(keeping.asked) < 2 * (3 + 1000 / MAX_PAUSE + 1)
    keeping.codes[SECOND] = 200
    await asyncio.sleep(MAX_PAUSE + 1)
    assert keeping.trunks.health("office").reachable
    assert keeping.trunks.health("office").last_error == ""
    assert keeping.trunks.health("office").since > 1e9


async def test_a_trunk_whose_name_has_no_address_is_down(keeping):
    keeping.trunks.keep(TrunkAddress(name="office", host="gone.test"))
    await asyncio.sleep(1)
    health = keeping.trunks.health("office")
    assert (health.reachable, health.last_error) == (False, "the name has no address")


async def test_why_no_connection_is_made_is_said(keeping):
    keeping.agent.refusing |= {FIRST, SECOND}
    keeping.trunks.keep(PLAIN)
    await asyncio.sleep(1)
    assert keeping.trunks.health("office").last_error == "refused"


async def test_an_account_is_registered_and_its_registrar_may_call(keeping):
    keeping.codes[FIRST] = None  # a registrar that answers no OPTIONS is registered at all the same
    keeping.trunks.keep(ACCOUNT)
    await asyncio.sleep(0.1)
    assert keeping.registrations == [FIRST]
    keeping.registered()
    assert keeping.trunks.health("office").registered
    assert keeping.admission.trusts(FIRST)


async def test_a_refused_registration_is_told_with_its_code(keeping):
    keeping.trunks.keep(ACCOUNT)
    await asyncio.sleep(1)
    keeping.registered(403)
    health = keeping.trunks.health("office")
    assert (health.registered, health.code) == (False, 403)
    assert health.last_error == "the registration failed with 403"
    assert not keeping.admission.trusts(FIRST)
    keeping.registered()
    health = keeping.trunks.health("office")
    assert (health.registered, health.code, health.last_error) == (True, 0, "")


async def test_a_registration_moves_to_the_address_that_answers(keeping):
    keeping.trunks.keep(ACCOUNT)
    await asyncio.sleep(1)
    keeping.codes[FIRST] = None
    keeping.registered(408)
    await asyncio.sleep(60)
    assert keeping.registrations == [FIRST, SECOND]
    keeping.registered()
    assert keeping.admission.trusts(SECOND)
    assert not keeping.admission.trusts(FIRST)


async def test_a_trunk_whose_connection_is_lost_is_registered_again_at_once(keeping):
    over_tcp = replace(ACCOUNT, transport="tcp")
    keeping.trunks.keep(over_tcp)
    await asyncio.sleep(1)
    keeping.registered()
    registrar = keeping.agent.notes.registered[0].target
    keeping.trunks.connection_lost(replace(registrar, port=1))
    await asyncio.sleep(2)
    assert keeping.registrations == [FIRST]
    keeping.trunks.connection_lost(registrar)
    await asyncio.sleep(2)
    assert keeping.registrations == [FIRST, FIRST]
    keeping.codes = {FIRST: 0, SECOND: 0}
    asked = len(keeping.asked)
    keeping.trunks.connection_lost(registrar)
    await asyncio.sleep(20)
    assert len(keeping.asked) == asked + 2
    assert len(keeping.registrations) == 2


async def test_a_trunk_that_is_dropped_is_unregistered_and_asked_no_more(keeping):
    keeping.trunks.keep(ACCOUNT)
    await asyncio.sleep(1)
    keeping.registered()
    keeping.trunks.drop("office")
    asked = len(keeping.asked)
    await asyncio.sleep(100)
    assert len(keeping.asked) == asked
    assert keeping.agent.notes.told[-1][:2] == ("unregister", "office")
    assert not keeping.admission.trusts(FIRST)
    assert keeping.trunks.health("office") == TrunkHealth()


async def test_a_trunk_is_kept_once_and_anew_when_it_changes(keeping):
    keeping.trunks.keep(ACCOUNT)
    keeping.trunks.keep(ACCOUNT)
    await asyncio.sleep(1)
    assert keeping.registrations == [FIRST]
    keeping.trunks.keep(PLAIN)
    await asyncio.sleep(1)
    assert keeping.agent.notes.names().count("unregister") == 1
    assert keeping.registrations == [FIRST]


async def test_answers_for_unknown_trunks_are_ignored(keeping):
    keeping.trunks.options_answered(OptionsAnswered("other", 200))
    keeping.trunks.registration_changed(RegistrationChanged("other", True, 200))
    assert keeping.changes == []


async def test_a_trunk_that_answers_a_call_is_no_longer_down(keeping):
    keeping.codes = {FIRST: None, SECOND: None}
    keeping.trunks.keep(PLAIN)
    await asyncio.sleep(3 * ANSWER_SECONDS)
    assert keeping.trunks.health("office").reachable is False
    keeping.trunks.responded("office")
    assert keeping.changes[-1] == ("office", TrunkHealth(reachable=True))


async def test_trunks_that_are_left_to_another_node_stay_registered_and_are_asked_no_more(keeping):
    keeping.trunks.keep(ACCOUNT)
    await asyncio.sleep(1)
    keeping.registered()
    keeping.trunks.leave()
    asked = len(keeping.asked)
    await asyncio.sleep(100)
    assert len(keeping.asked) == asked
    assert "unregister" not in keeping.agent.notes.names()
    assert keeping.agent.notes.told[-1][:2] == ("forget_registration", "office")
