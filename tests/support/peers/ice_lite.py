"""Makes a connection of aioice answer ICE checks and never send one (RFC 8445, section 2.5)."""

import asyncio
from collections.abc import Callable
from typing import Any

from aioice import stun
from aioice.ice import CandidatePair


def make_lite(
    link: Any,
    *,
    username: str,
    password: str,
    heard: Callable[[stun.Message], bool] = lambda message: True,
) -> None:
    """Make it lite.

    Args:
        link: an `aioice.Connection` that has gathered nothing yet.
        username: its own.
        password: its own.
        heard: is given each request; False lets it go unheard.
    """
    link._local_username, link._local_password = username, password
    received, state = link.request_received, CandidatePair.State

    def note(message: stun.Message, addr: Any, protocol: Any) -> None:
        if heard(message):
            received(message, addr, protocol)

    async def check(pair: Any) -> None:
        pair.nominated = pair.nominated or pair.remote_nominated
        link.check_state(pair, state.SUCCEEDED)
        link.check_complete(pair)

    async def consent() -> None:
        await asyncio.Event().wait()

    link.request_received, link.check_start, link.query_consent = note, check, consent
    link.ice_controlling = False
