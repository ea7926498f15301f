"""Turns of calls with the bridge's own agent, which says more about its part."""

import pytest

from tests.calls.test_agent import TALKS, line, ring, types
from tests.support.waiting import until


def turns(client):
    return [event.data for event in client.heard if event.type == "turn"]


@pytest.mark.full
async def test_of_the_agent_it_is_known_when_it_found_that_the_caller_had_finished():
    async with line("ai", callGreeting="") as (client, _):
        await ring(client, TALKS)
        await until(lambda: turns(client), timeout=40)
        first = turns(client)[0]
        assert (first["bot"], first["filler"]) == ("agent", None)
        # `end_seconds` is 0.2; the voice detector may take a little longer than energy does.
        assert first["parts"]["endOfSpeech"] >= 100
        assert sum(first["parts"].values()) == pytest.approx(first["waitMs"], abs=3)
        assert "agent.replied" in types(client)


@pytest.mark.full
async def test_a_filler_is_marked_and_no_answer():
    ways = {"filler_seconds": 0.1, "filler": "Wait."}
    async with line("ai", agent=ways, callGreeting="") as (client, double):
        double.answers["llm"] = 1.0
        await ring(client, TALKS)
        await until(lambda: turns(client), timeout=40)
        first = turns(client)[0]
        assert first["filler"] < first["waitMs"] - 300
