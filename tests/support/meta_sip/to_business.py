"""Calls of WhatsApp users to the business: the double as SIP client (UAC)."""

import asyncio
import ssl
from typing import TYPE_CHECKING

from tests.support.meta_sip.behaviour import DOMAIN, USER_ID, Dialog, SipCall, meta_headers
from tests.support.meta_sip.links import Link
from tests.support.meta_sip.message import (
    Header,
    Message,
    credentials,
    digest_fields,
    uri_in,
    uris_in,
)

if TYPE_CHECKING:
    from tests.support.meta_sip.double import MetaSip

ASKS = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}
"""By status: the header of the challenge, and of the answer to it."""
MAX_CHALLENGES = 3
PROXIES = [("Via", f"SIP/2.0/TLS [2a03:2880:2::{n}]:5061;branch=z9hG4bKf{n};alias") for n in (1, 2)]
"""What the proxies on the way leave in an INVITE, besides Record-Route."""
OWN = [
    ("Allow", "INVITE, ACK, BYE, CANCEL, NOTIFY, OPTIONS"),
    ("User-Agent", "Facebook SipGateway"),
    ("X-FB-External-Domain", DOMAIN),
]


class CallsToBusiness:
    """Sends INVITEs and answers challenges."""

    def __init__(self, meta: "MetaSip") -> None:
        self._meta = meta

    async def ring(
        self, user: str, *, name: str = "", username: str = "", **payloads: str | None
    ) -> SipCall:
        """Begin a call; the rest goes on by itself."""
        meta = self._meta
        call = meta.begin(inbound=True, user=user)
        account = meta.account
        person = USER_ID if meta.behaviour.caller == "username" else f"+{user}"
        shown = name or person.removeprefix("+")
        number = f"sip:+{account.business}{account.user_parameters}@{account.hostname}"
        call.dialog = Dialog(
            call.dialog.call_id,
            f'"{shown}" <sip:{person}@{DOMAIN}>;tag=m{len(meta.calls)}',
            f"<sip:+{account.business}@{account.hostname}>",
            f"{number};transport=tls",
        )
        told = meta_headers(
            call, captured=meta.behaviour.captured_headers, name=username, **payloads
        )
        call.task = asyncio.create_task(self._call(call, told))
        return call

    def cancel(self, call: SipCall) -> None:
        """End a call that nobody has answered."""
        if not call.canceled and call.proceeding:
            self._send_cancel(call)
        call.canceled = True

    async def _call(self, call: SipCall, told: list[Header]) -> None:
        meta = self._meta
        offer = await call.media.offer()
        try:
            call.link = await meta.link()
        except OSError as error:
            kind = "certificate" if isinstance(error, ssl.SSLError) else "connection"
            meta.unreached.append(kind)
            call.state = "ENDED"
            return
        answer: list[Header] = []
        for _ in range(MAX_CHALLENGES):
            if answer and meta.behaviour.fresh_connections:
                call.link = await meta.link()
            response = await self._invite(call, call.link, [*told, *answer], offer)
            if response.code < 300:
                await self._answered(call, call.link, response)
                return
            self._acknowledge(call, call.link, call.via, response.value("to"))
            if response.code not in {487, *ASKS}:
                meta.note(call, "reject")
            answer = self._authorize(call, response, again=bool(answer))
            if not answer or call.canceled:
                break
        call.state = "ENDED"

    def _authorize(self, call: SipCall, response: Message, *, again: bool) -> list[Header]:
        """Return the header that answers a challenge; nothing if it gives up."""
        ways = self._meta.behaviour
        if response.code not in ASKS:
            return []
        asks, answers = ASKS[response.code]
        asked = [digest_fields(text) for text in response.all(asks)]
        if again and (ways.stale_gives_up or asked[0].get("stale", "").lower() != "true"):
            return []
        chosen = [one for one in asked if one.get("algorithm", "MD5").upper() == "MD5"]
        if not chosen and not ways.only_md5:
            chosen = asked
        if not chosen:
            return []
        account, uri = self._meta.account, call.dialog.target
        uri = uri if ways.full_uri else uri.partition(";transport")[0]
        text = credentials(chosen[0], account.business, account.password, "INVITE", uri)
        return [(answers, text)]

    async def _invite(self, call: SipCall, link: Link, told: list[Header], offer: str) -> Message:
        """Send an INVITE and return the final response."""
        meta = self._meta
        call.via, call.proceeding = meta.via(link), False
        contact = f"<{meta.contact(call)}>;isfocus"
        headers = call.dialog.headers("INVITE", call.via, ("Contact", contact))
        call.number = call.dialog.sequence
        routes = meta.routes() or [("Route", f"<sip:{meta.host};transport=tls;lr>")]
        whole = [headers[0], *PROXIES, *routes, *headers[1:], *OWN, *told]
        answers = meta.send(link, f"INVITE {call.dialog.target} SIP/2.0", whole, offer)
        while True:
            response = await answers.get()
            call.codes.append(response.code)
            if response.code >= 200:
                return response
            if call.canceled and not call.proceeding:
                self._send_cancel(call)
            call.proceeding = True

    def _send_cancel(self, call: SipCall) -> None:
        assert call.link is not None
        headers = call.dialog.headers("CANCEL", call.via, number=call.number)
        self._meta.send(call.link, f"CANCEL {call.dialog.target} SIP/2.0", headers)

    async def _answered(self, call: SipCall, link: Link, response: Message) -> None:
        meta, dialog = self._meta, call.dialog
        meta.note(call, "accept")
        dialog.theirs, dialog.target = response.value("to"), uri_in(response.value("contact"))
        dialog.routes = uris_in([text for _, text in meta.routes()])
        if uris_in(response.all("record-route")) != dialog.routes:
            meta.complaints.append("the 200 has other Record-Routes than the INVITE")
        meta.answered(call)
        if meta.behaviour.bye_before_ack:
            await meta.hang_up(call)
        self._acknowledge(call, link, meta.via(link), dialog.theirs)
        if call.canceled:
            await meta.hang_up(call)
        if call.state == "ACTIVE":
            await call.media.take_answer(response.body)

    def _acknowledge(self, call: SipCall, link: Link, via: str, to: str) -> None:
        """Send ACK: within the INVITE's transaction, or with a Via of its own after 200."""
        headers = call.dialog.headers("ACK", via, number=call.number)
        whole = [("To", to) if name == "To" else (name, text) for name, text in headers]
        self._meta.send(link, f"ACK {call.dialog.target} SIP/2.0", whole)
