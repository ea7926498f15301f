"""Tokens that LiveKit's server SDK makes, as its SDK for Python shows them to be refused or taken."""

import datetime

import pytest

from bridge.settings.line import Line
from bridge.settings.livekit import LiveKit
from tests.stacks.caller import CallerError
from tests.stacks.livekit_sdks.party import party
from tests.support.inprocess import running, settings

KEY, SECRET = "APIdemo", "a secret of the test, of enough characters"
ECHO = "15550100001"

pytestmark = [pytest.mark.livekit, pytest.mark.call]


async def test_a_token_of_the_server_sdk_joins_and_the_sdk_shows_why_another_does_not(tmp_path):
    from livekit import api

    def token(room: str, secret: str = SECRET, *, join: bool = True, hours: float = 1.0) -> str:
        grants = api.VideoGrants(room_join=join, room=room)
        made = api.AccessToken(KEY, secret).with_identity("alice").with_grants(grants)
        return str(made.with_ttl(datetime.timedelta(hours=hours)).to_jwt())

    line = Line(keys=["demo"], livekit=LiveKit(api_key=KEY, api_secret=SECRET))
    async with running(settings(lines={"demo": line})) as client, party("python", tmp_path) as sdk:
        call_id = await client.dial(ECHO)
        url = str(client.http.make_url("/")).replace("http", "ws", 1)
        for wrong, reason in (
            (token(call_id, SECRET[::-1]), "the signature is not by the secret"),
            (token("another"), "there is no such call"),
            (token(call_id, join=False), "does not grant to join"),
            (token(call_id, hours=-1), "has expired"),
        ):
            with pytest.raises(CallerError, match=f"401 Unauthorized - .*{reason}"):
                await sdk.ask("join", url=url, token=wrong)
        assert (await sdk.ask("join", url=url, token=token(call_id)))["others"]
