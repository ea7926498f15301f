"""A double of `wa.meta.vc`: WhatsApp calls signalled by SIP over TLS, from Meta's pages and published traces.

A `SdesPeer`, or a `MetaPeer` for DTLS, is the media of each call. What Meta would punish is kept in `complaints`.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

from tests.support.meta_sip.behaviour import DOMAIN, Account, Behaviour, SipCall
from tests.support.meta_sip.links import Link, Links
from tests.support.meta_sip.message import Header, Message, compose, uris_in
from tests.support.meta_sip.to_business import CallsToBusiness
from tests.support.meta_sip.to_users import CallsToUsers
from tests.support.peers.meta_peer import MetaPeer
from tests.support.peers.meta_sdes import SdesPeer
from tests.support.servers.authority import Authority
from tests.support.virtual_time import monotonic
from tests.support.whatsapp.graph_double import RetryPolicy
from tests.support.whatsapp.graph_webhooks import USER

WATCH_SECONDS = 0.1
"""More than `virtual_time.LONG_SECONDS`, so that the kernel delivers what was sent before time jumps."""
COPIED = ("via", "from", "call-id", "cseq")


class MetaSip:
    """The server; use as `async with MetaSip(authority, account) as meta`."""

    def __init__(
        self,
        authority: Authority,
        account: Account,
        *,
        media: Literal["sdes", "dtls"] | Callable[[], Any] = "sdes",
        behaviour: Behaviour | None = None,
        patience: RetryPolicy | None = None,
        **form: Any,
    ) -> None:
        """Make it.

        Args:
            authority: signs its certificate, and must have signed the business's.
            account: the business's.
            media: kind of keys of a call's media, or what makes it.
            behaviour: what it does differently.
            patience: how long it waits.
            form: what `SdesPeer` or `MetaPeer` takes.
        """
        self.account = account
        self.behaviour = behaviour or Behaviour()
        self.patience = patience or RetryPolicy()
        self.calls: dict[str, SipCall] = {}
        """By Call-ID."""
        self.requests: list[Message] = []
        """All that came, but ACK."""
        self.refused: list[str] = []
        """Statuses of its refusals, challenges left out."""
        self.complaints: list[str] = []
        self.unreached: list[str] = []
        """Why a call to the business ended before an INVITE: no connection, or no good certificate."""
        self.permitted = True
        peer = {"sdes": SdesPeer, "dtls": MetaPeer}
        self._media = (lambda: peer[media](**form)) if isinstance(media, str) else media
        self._actions: list[str] = []
        self._numbers = itertools.count(1)
        self._waiting: dict[tuple[str, str], asyncio.Queue[Message]] = {}
        """By branch and method: who waits for the responses to a request."""
        issued = authority.issue(host=DOMAIN, also=("127.0.0.1",), prefix="meta-")
        self._server_context = authority.server_context(issued)
        self._trust = authority.trust
        self._links = Links(self._received, close_after=self.behaviour.close_after)
        self._to_business, self._to_users = CallsToBusiness(self), CallsToUsers(self)

    async def __aenter__(self) -> "MetaSip":
        await self._links.listen(self._server_context)
        self._patrol = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._patrol.cancel()
        with suppress(asyncio.CancelledError):
            await self._patrol
        for call in self.calls.values():
            if call.task is not None:
                call.task.cancel()
                await asyncio.gather(call.task, return_exceptions=True)
            self.complaints += call.media.complaints
            if len(call.media.ssrcs) > 1:
                self.complaints.append("more than one SSRC")
            await call.media.aclose()
        if self._links.offered_alpn:
            self.complaints.append("a TLS connection that offered ALPN")
        await self._links.aclose()

    @property
    def port(self) -> int:
        return self._links.port

    @property
    def host(self) -> str:
        """The domain with its port: a URI's part after the user."""
        return f"{DOMAIN}:{self.port}"

    @property
    def last(self) -> SipCall:
        return list(self.calls.values())[-1]

    def actions(self) -> list[str]:
        """What we have done to calls, in the words of the Graph API and in its order."""
        return list(self._actions)

    def methods(self) -> list[str]:
        """The methods of all requests that came."""
        return [message.method for message in self.requests]

    # The person

    async def ring(self, *, user: str = USER, **more: Any) -> SipCall:
        """Let somebody ring the business.

        Args:
            user: who rings.
            more: `name`, `username`, and the payloads that `meta_headers` takes.
        """
        return await self._to_business.ring(user, **more)

    async def pick_up(self, call: SipCall) -> None:
        """Let the person that we ring take the call."""
        await self._to_users.pick_up(call)

    async def decline(self, call: SipCall, status: str = "486 User declined the call") -> None:
        """Let the person that we ring not take the call, or Meta refuse it late."""
        self._to_users.refuse(call, status)

    async def hang_up(self, call: SipCall, *more: Header) -> None:
        """Let the person end the call: by CANCEL, a final response or BYE, as far as it is."""
        if call.state == "RINGING" and call.inbound:
            self._to_business.cancel(call)
        elif call.state == "RINGING":
            self._to_users.refuse(call, "480 Temporarily Unavailable")
        elif call.state == "ACTIVE":
            await self._say_bye(call, *more)

    # What both directions of calls use

    def begin(self, *, inbound: bool, user: str, call_id: str = "") -> SipCall:
        """Make a call."""
        wacid = f"wacid.EXAMPLE{next(self._numbers)}=="
        call = SipCall(wacid, inbound, self._media(), user=user)
        call.dialog.call_id = call_id or f"outgoing:{wacid}"
        self.calls[call.dialog.call_id] = call
        return call

    def note(self, call: SipCall, action: str) -> None:
        """Note what we have done to a call."""
        self._actions.append(action)
        call.actions.append(action)

    def answered(self, call: SipCall) -> None:
        """Note that sound may flow from now on."""
        call.state, call.started, call.active_at = "ACTIVE", time.time(), monotonic()
        call.media.accepted()

    async def link(self) -> Link:
        """Open a connection to the business, from the next address.

        Raises:
            OSError: as `Links.connect`.
        """
        sources = self.behaviour.sources
        return await self._links.connect(
            "127.0.0.1",
            self.account.port,
            name=self.account.hostname,
            context=self._trust,
            source=sources[len(self._links.opened) % len(sources)],
        )

    def via(self, link: Link) -> str:
        """Write the Via of a new request."""
        host, port = link.address
        return f"SIP/2.0/TLS {host}:{port};branch=z9hG4bKm{next(self._numbers):06};alias"

    def send(
        self, link: Link, start: str, headers: list[Header], body: str = ""
    ) -> asyncio.Queue[Message]:
        """Send a request; return where its responses come."""
        method, branch = start.split()[0], headers[0][1].partition("branch=")[2].partition(";")[0]
        answers: asyncio.Queue[Message] = asyncio.Queue()
        if method != "ACK":
            self._waiting[branch, method] = answers
        link.send(compose(start, headers, body))
        return answers

    def reply(
        self, link: Link, request: Message, status: str, *more: Header, body: str = ""
    ) -> None:
        """Answer a request."""
        to = request.value("to")
        if not request.tag("to") and not status.startswith("100"):
            to += ";tag=meta"
        headers = [(name, text) for name in COPIED for text in request.all(name)]
        link.send(compose(f"SIP/2.0 {status}", [*headers, ("To", to), *more], body))

    def routes(self) -> list[Header]:
        """Write the Record-Routes of its proxies."""
        if not self.behaviour.record_routes:
            return []
        names = (self.host, f"onevc-sip-proxy.fbinfra.net:{self.port}")
        routes = ", ".join(f"<sip:{name};transport=tls;lr>" for name in names)
        return [("Record-Route", routes)]

    def _received(self, link: Link, message: Message) -> None:
        if message.code:
            if (waiting := self._waiting.get((message.branch, message.method))) is not None:
                waiting.put_nowait(message)
            return
        call = self.calls.get(message.value("call-id"))
        if message.method == "ACK":
            if call is not None and message.tag("to"):
                self._to_users.acknowledged(call)
            return
        self.requests.append(message)
        if message.method == "INVITE" and not message.tag("to"):
            self._to_users.invited(link, message)
        elif message.method == "CANCEL":
            self._to_users.canceled(link, message, call)
        elif message.method in {"INVITE", "BYE"}:
            self._in_dialog(link, message, call)
        else:
            self._other(link, message)

    def _other(self, link: Link, message: Message) -> None:
        """Answer what calls do not need."""
        if message.method == "OPTIONS":
            if self.behaviour.answers_options:
                self.reply(link, message, "200 OK")
        elif message.method == "REGISTER":
            self.reply(link, message, "403 Forbidden")
        else:
            self.complaints.append(f"{message.method} is not in Allow")
            self.reply(link, message, "405 Method Not Allowed")

    def _in_dialog(self, link: Link, message: Message, call: SipCall | None) -> None:
        """Answer BYE, or a re-INVITE."""
        if call is None or call.state == "ENDED" or not self._belongs(message, call):
            self.reply(link, message, "481 Call/Transaction Does Not Exist")
            return
        if message.method == "BYE":
            self.reply(link, message, "200 OK")
            call.state = "ENDED"
            self.note(call, "terminate")
            return
        self.complaints.append("a re-INVITE")
        self.reply(link, message, "500 Server Internal Error")
        if self.behaviour.reinvite_ends_call:
            call.task = asyncio.create_task(self._say_bye(call))

    def _belongs(self, message: Message, call: SipCall) -> bool:
        """Check what a dialog requires: tags, a number that grows, our Contact and our routes."""
        dialog = call.dialog
        tags = (f";tag={message.tag('from')}", f";tag={message.tag('to')}")
        if tags[0] not in dialog.theirs or tags[1] not in dialog.ours:
            return False
        if message.sequence <= dialog.their_sequence:
            return False
        dialog.their_sequence = message.sequence
        if message.uri != self.contact(call):
            self.complaints.append(f"{message.method} to another URI than Contact: {message.uri}")
        routes = uris_in(message.all("route"))
        if routes != dialog.routes:
            self.complaints.append(f"{message.method} by another route: {routes}")
        return True

    def contact(self, call: SipCall) -> str:
        """Return the URI of its Contact in a call."""
        name = "US.11112222333344445555" if self.behaviour.caller == "username" else f"+{call.user}"
        host = f"sip:{name}@{self.host};transport=tls;ob"
        return host if call.inbound else f"{host};X-FB-Sip-Smc-Tier=eag"

    async def _say_bye(self, call: SipCall, *more: Header) -> None:
        call.state = "ENDED"
        seconds = int(monotonic() - call.active_at)
        told = [("x-wa-meta-wacid", call.wacid), ("x-wa-meta-call-duration", str(seconds)), *more]
        link = call.link
        if link is None or not link.open or self.behaviour.fresh_connections:
            link = await self.link()
        for _ in range(self.behaviour.byes):
            headers = call.dialog.headers("BYE", self.via(link), *told)
            self.send(link, f"BYE {call.dialog.target} SIP/2.0", headers)

    async def _watch(self) -> None:
        """End the calls that Meta would have no more patience with."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = monotonic()
            for call in list(self.calls.values()):
                await self._check_patience(call, now)

    async def _check_patience(self, call: SipCall, now: float) -> None:
        waits, last = self.patience, call.media.last_heard
        if call.state == "ACTIVE":
            since = call.active_at if last is None else max(last, call.active_at)
            if now - since > (waits.first_media if last is None else waits.media):
                call.reason = "RTP Timeout"
                await self._say_bye(call, ("Reason", 'SIP;cause=408;text="RTP Timeout"'))
        elif call.inbound and call.state == "RINGING" and now - call.began > waits.answer:
            self._to_business.cancel(call)
