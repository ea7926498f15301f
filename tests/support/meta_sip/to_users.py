"""Calls of the business to WhatsApp users: the double as SIP server (UAS)."""

import asyncio
import secrets
from typing import TYPE_CHECKING

from tests.support.meta_sip.behaviour import DOMAIN, SipCall, misaddressed, misauthorized
from tests.support.meta_sip.links import Link
from tests.support.meta_sip.message import (
    Message,
    challenge,
    digest,
    digest_fields,
    uri_in,
    uris_in,
    user_of,
)
from tests.support.peers import meta_sdes

if TYPE_CHECKING:
    from tests.support.meta_sip.double import MetaSip

TAG = ";tag=meta"


class CallsToUsers:
    """Takes our INVITEs, after a challenge."""

    def __init__(self, meta: "MetaSip") -> None:
        self._meta = meta
        self._nonces: set[str] = set()
        self._staled = False

    def invited(self, link: Link, invite: Message) -> None:
        """Take an INVITE that begins a call, or refuse it."""
        meta = self._meta
        given = digest_fields(invite.value("proxy-authorization"))
        if not given:
            self._challenge(link, invite)
            return
        if given.get("nonce") not in self._nonces:
            self._challenge(link, invite)
            return
        self._nonces.discard(given["nonce"])
        if meta.behaviour.stale_once and not self._staled:
            self._staled = True
            self._challenge(link, invite, stale=True)
            return
        if refusal := self._refusal(invite, given):
            meta.refused.append(refusal)
            meta.reply(link, invite, refusal, ("Warning", f'399 {DOMAIN} "{refusal[4:]}"'))
            return
        self._begin(link, invite)

    async def pick_up(self, call: SipCall) -> None:
        """Answer with 200."""
        assert call.link is not None
        assert call.invite is not None
        answer = await call.media.answer(call.invite.body)
        self._meta.answered(call)
        self._respond(call, "200 OK", answer)

    def refuse(self, call: SipCall, status: str) -> None:
        """Answer with a final response."""
        call.state = "ENDED"
        self._respond(call, status)

    def canceled(self, link: Link, cancel: Message, call: SipCall | None) -> None:
        """Take a CANCEL."""
        meta = self._meta
        if call is None or call.state != "RINGING" or call.invite is None:
            meta.reply(link, cancel, "481 Call/Transaction Does Not Exist")
            return
        if cancel.branch != call.invite.branch or cancel.uri != call.invite.uri:
            meta.complaints.append("a CANCEL of another transaction")
        meta.reply(link, cancel, "200 OK")
        meta.note(call, "terminate")
        call.canceled = True
        if meta.behaviour.cancel_crosses:
            call.task = asyncio.create_task(self.pick_up(call))
        else:
            self.refuse(call, "487 Request Terminated")

    def acknowledged(self, call: SipCall) -> None:
        """Take the ACK of a 200."""
        call.acknowledged = True

    def _begin(self, link: Link, invite: Message) -> None:
        meta = self._meta
        user = user_of(invite.uri).removeprefix("+")
        call = meta.begin(inbound=False, user=user, call_id=invite.value("call-id"))
        call.link, call.invite = link, invite
        dialog = call.dialog
        dialog.ours, dialog.theirs = invite.value("to") + TAG, invite.value("from")
        dialog.target = uri_in(invite.value("contact"))
        dialog.their_sequence = invite.sequence
        dialog.routes = uris_in([text for _, text in meta.routes()])[::-1]
        meta.note(call, "connect")
        meta.reply(link, invite, "100 Trying")
        phrases = {180: "Ringing", 183: "Session Progress"}
        for code in meta.behaviour.provisional:
            self._respond(call, f"{code} {phrases[code]}")

    def _challenge(self, link: Link, invite: Message, *, stale: bool = False) -> None:
        found = []
        for algorithm in self._meta.behaviour.algorithms:
            nonce = secrets.token_hex(16)
            self._nonces.add(nonce)
            text = challenge(DOMAIN, nonce, algorithm=algorithm, stale=stale)
            found.append(("Proxy-Authenticate", text))
        self._meta.reply(link, invite, "407 Proxy Authentication Required", *found)

    def _refusal(self, invite: Message, given: dict[str, str]) -> str:
        """Return the status with which Meta refuses an INVITE; empty if it does not."""
        meta = self._meta
        account = meta.account
        if wrong := misaddressed(invite, account):
            return wrong
        wanted = digest(given, account.password, "INVITE")
        if wrong := misauthorized(invite, given, wanted, account, meta.behaviour):
            return wrong
        if not meta.permitted:
            return "403 No Approved Call Permission Found"
        user = user_of(invite.uri).removeprefix("+")
        if any(one.user == user and one.state != "ENDED" for one in meta.calls.values()):
            return "403 duplicate call"
        if "a=crypto:" in invite.body:
            problems = meta_sdes.faults(invite.body)
        else:
            kind = "a=fingerprint:" in invite.body
            problems = [] if kind else ["neither keys nor a fingerprint"]
        return f"403 SDP Validation Error: {problems[0]}" if problems else ""

    def _respond(self, call: SipCall, status: str, body: str = "") -> None:
        meta = self._meta
        assert call.link is not None
        assert call.invite is not None
        contact = f"<{meta.contact(call)}>;isfocus"
        more = [*meta.routes(), ("Contact", contact), ("Supported", "timer")]
        meta.reply(call.link, call.invite, status, *more, body=body)
