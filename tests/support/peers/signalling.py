"""How a test peer hands its offer to whoever answers it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from tests.support.virtual_time import monotonic

Exchange: TypeAlias = Callable[[str], Awaitable[str]]
"""Hands over an offer (SDP text) and brings the answer (SDP text)."""


class SignallingError(Exception):
    """The other side did not answer the offer with 200."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"offer refused with {status}: {body}")
        self.status = status
        self.body = body


class HttpExchange:
    """Takes offers to a bridge's `/call/webrtc/offer` and remembers the leg for the next ones.

    Args:
        post: `post` of an `aiohttp.ClientSession` or of aiohttp's `TestClient`.
        url: `http://host:port` of a running bridge; empty with a `TestClient`.
        call_id: The call to join.
        key: API key of the line.
        more: Further members of the request body (`party`, `legID`, `machine`).
    """

    def __init__(
        self, post: Any, url: str, *, call_id: str, key: str = "demo", **more: Any
    ) -> None:
        self._post = post
        self._url = f"{url}/call/webrtc/offer"
        self._headers = {"token": key}
        self._body = {"callID": call_id, "type": "offer", **more}
        self.leg_id: str = more.get("legID", "")
        self.seconds: float = 0.0
        """How long the last answer took."""

    async def __call__(self, offer: str) -> str:
        """Post the offer; a second one goes to the same leg.

        Raises:
            SignallingError: any status but 200.
        """
        body = {**self._body, "sdp": offer} | ({"legID": self.leg_id} if self.leg_id else {})
        begun = monotonic()
        async with self._post(self._url, json=body, headers=self._headers) as response:
            text = await response.text()
            self.seconds = monotonic() - begun
            if response.status != 200:
                raise SignallingError(response.status, text)
            reply = await response.json(content_type=None)
        self.leg_id = reply.get("legID", "")
        answer: str = reply["sdp"]
        return answer


class StockExchange:
    """Takes offers to `/offer` of the stock echo server."""

    def __init__(self, post: Any, url: str) -> None:
        self._post = post
        self._url = f"{url}/offer"
        self.seconds: float = 0.0
        """How long the last answer took."""

    async def __call__(self, offer: str) -> str:
        """Post the offer.

        Raises:
            SignallingError: any status but 200.
        """
        begun = monotonic()
        async with self._post(self._url, json={"type": "offer", "sdp": offer}) as response:
            text = await response.text()
            self.seconds = monotonic() - begun
            if response.status != 200:
                raise SignallingError(response.status, text)
            answer: str = (await response.json())["sdp"]
            return answer
