"""sipsak asks whether the bridge is there."""

import asyncio

import pytest

from tests.support.sip.sip_agents import GUARDED, TRUSTED, sip_agent

pytestmark = pytest.mark.sipsak


async def answer(port: int) -> str:
    """Return what sipsak prints of the answer to its OPTIONS."""
    process = await asyncio.create_subprocess_exec(
        *("sipsak", "-vv", "-s", f"sip:anybody@127.0.0.1:{port}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(10):
        output, _ = await process.communicate()
    return output.decode(errors="replace")


async def test_who_is_trusted_learns_what_the_bridge_can_do():
    async with sip_agent(inbound=[TRUSTED]) as ours:
        text = await answer(ours.port)
        assert "SIP/2.0 200 " in text
        assert "INVITE" in text.partition("Allow:")[2].splitlines()[0]


async def test_a_stranger_is_asked_for_a_password_and_learns_nothing_else():
    async with sip_agent(inbound=[GUARDED]) as ours:
        text = await answer(ours.port)
        assert "SIP/2.0 401 " in text
        assert "Allow:" not in text.partition("SIP/2.0 401")[2]
