"""A SIP trunk of a few lines on a raw UDP socket, with a telephone behind it; it shares no code with the bridge."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from tests.support.sip.telephone import Telephone

_COPIED = ("via", "from", "call-id", "cseq")


class _Message:
    """A request or response, split into its lines."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.decode().partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [(one.partition(":")[0].lower(), one) for one in lines]

    def all(self, name: str) -> list[str]:
        """Return the lines of a header."""
        return [line for key, line in self.headers if key == name]

    def value(self, name: str) -> str:
        """Return the value of a header."""
        return self.all(name)[0].partition(":")[2].strip()


class TrunkDouble(asyncio.DatagramProtocol):
    """Rings and answers every call, unless `refuses` has a code; the call's description is `answer_lines`' and the phone's."""

    def __init__(self, phone: Telephone) -> None:
        self.phone = phone
        self.refuses = ""
        """A status line's code and phrase, with which each INVITE is refused."""
        self.mute = False
        """Whether nothing is answered at all."""
        self.early = False
        """Whether the call stays in early media (183) until `pick_up`."""
        self.formats = "0 8 101"
        self.named = ""
        """The address that descriptions name instead of the phone's own."""
        self.requests: list[str] = []
        """Methods that came, retransmissions too."""
        self.offers: list[str] = []
        self.answers: list[str] = []
        """Descriptions of the bridge in responses to our re-INVITEs."""
        self.responses: list[str] = []
        """Status codes of the bridge's responses."""
        self._invite: _Message | None = None
        self._bridge = ("", 0)
        self._sequence = 100
        self._dialog = ("", "", "", "")
        """Target, From, To and Call-ID of our requests."""
        self._offers_late = False

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.mute or not data.strip():
            return
        message = _Message(data)
        self._bridge = addr
        if message.start.startswith("SIP/2.0"):
            self._response(message)
            return
        method = message.start.split()[0]
        self.requests.append(method)
        if method == "INVITE":
            self._invited(message)
        elif method == "CANCEL":
            self._reply(message, "200 OK")
            assert self._invite is not None
            self._reply(self._invite, "487 Request Terminated")
        elif method != "ACK":
            self._reply(message, "200 OK")

    async def open(self, host: str) -> None:
        """Bind a port of an address of the loopback interface."""
        loop = asyncio.get_running_loop()
        self.host = host
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self.port: int = self.transport.get_extra_info("sockname")[1]

    def pick_up(self) -> None:
        """Answer the call that is in early media."""
        assert self._invite is not None
        self._reply(self._invite, "200 OK", self._describe())

    def call(self, port: int, number: str, *, offer: bool = True) -> None:
        """Call the bridge at a port; without `offer` it is asked for its own."""
        self._bridge = ("127.0.0.1", port)
        uri = f"sip:{number}@127.0.0.1:{port}"
        self._dialog = uri, "<sip:+15550300001@127.0.0.1>;tag=trunk", f"<{uri}>", "call@trunk"
        self._offers_late = not offer
        self._request("INVITE", self._describe() if offer else "")

    def reinvite(self, *lines: str) -> None:
        """Send a re-INVITE with other attributes."""
        self._request("INVITE", self._describe(*lines))

    def hang_up(self) -> None:
        """Send BYE."""
        self._request("BYE")

    def _invited(self, message: _Message) -> None:
        first = "tag=" not in message.value("to")
        self.offers.append(message.body)
        if first:
            target = re.search(r"<([^>]+)>", message.value("contact"))
            assert target is not None
            ours, theirs = f"{message.value('to')};tag=trunk", message.value("from")
            self._dialog = target[1], ours, theirs, message.value("call-id")
        else:
            self._reply(message, "200 OK", self._describe())
            return
        self._invite = message
        self._reply(message, "100 Trying")
        if self.refuses:
            self._reply(message, self.refuses)
            return
        self.phone.follow(message.body)
        if self.early:
            self._reply(message, "183 Session Progress", self._describe())
        else:
            self._reply(message, "180 Ringing")
            self.pick_up()

    def _response(self, message: _Message) -> None:
        code = message.start.split()[1]
        self.responses.append(code)
        if "INVITE" not in message.value("cseq") or code < "200":
            return
        target, ours, _, call_id = self._dialog
        self._dialog = target, ours, message.value("to"), call_id
        if code == "200":
            self.answers.append(message.body)
            self.phone.follow(message.body)
            late, self._offers_late = self._offers_late, False
            self._request("ACK", self._describe() if late else "")

    def _describe(self, *lines: str) -> str:
        return self.phone.describe(*lines, formats=self.formats, address=self.named)

    def _reply(self, request: _Message, status: str, body: str = "") -> None:
        to = request.all("to")[0]
        if "tag=" not in to and not status.startswith("100"):
            to += ";tag=trunk"
        copied = [line for name in _COPIED for line in request.all(name)]
        self._send([f"SIP/2.0 {status}", *copied, to], body)

    def _request(self, method: str, body: str = "") -> None:
        target, ours, theirs, call_id = self._dialog
        self._sequence += method != "ACK"
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bKt{method}{self._sequence}",
            "Max-Forwards: 70",
            f"From: {ours}",
            f"To: {theirs}",
            f"Call-ID: {call_id}",
            f"CSeq: {self._sequence} {method}",
        ]
        self._send(lines, body)

    def _send(self, lines: list[str], body: str) -> None:
        lines += [f"Contact: <sip:{self.host}:{self.port}>", f"Content-Length: {len(body)}"]
        if body:
            lines.append("Content-Type: application/sdp")
        data = "\r\n".join([*lines, "", body]).encode()
        self.transport.sendto(data, self._bridge)


@asynccontextmanager
async def trunk(
    host: str = "127.0.0.1", phone_host: str = "127.0.0.1"
) -> AsyncIterator[TrunkDouble]:
    """Open a trunk with a telephone on loopback."""
    phone = await Telephone().open(host=phone_host)
    double = TrunkDouble(phone)
    await double.open(host)
    try:
        yield double
    finally:
        double.transport.close()
        phone.close()
