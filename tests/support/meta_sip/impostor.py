"""Somebody who can open TLS connections to the bridge, and is not Meta: requests with the wrong password, tags or none."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.meta_sip.behaviour import DOMAIN, Account, SipCall, meta_headers
from tests.support.meta_sip.links import Link, Links
from tests.support.meta_sip.message import Header, Message, compose, credentials, digest_fields
from tests.support.meta_sip.to_business import ASKS
from tests.support.servers.authority import Authority
from tests.support.whatsapp.graph_webhooks import USER

ANSWER_SECONDS = 5.0


class Impostor:
    """Knows all that can be seen of a call, but not the password."""

    def __init__(self, account: Account, link: Link) -> None:
        self.account = account
        self.received: list[Message] = []
        """All that came back."""
        self._link = link
        self._numbers = itertools.count(1)
        self._come = asyncio.Event()

    def take(self, _: Link, message: Message) -> None:
        """Note what comes."""
        self.received.append(message)
        self._come.set()

    async def ask(
        self, method: str, headers: list[Header], *, uri: str = "", body: str = ""
    ) -> Message:
        """Send a request and return its final response.

        Raises:
            TimeoutError: none comes.
        """
        account, branch = self.account, f"z9hG4bKi{next(self._numbers)}"
        host, port = self._link.address
        via = f"SIP/2.0/TLS {host}:{port};branch={branch}"
        to = uri or f"sip:+{account.business}@{account.hostname};transport=tls"
        whole = [("Via", via), ("Max-Forwards", "70"), *headers]
        self._link.send(compose(f"{method} {to} SIP/2.0", whole, body))
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                self._come.clear()
                for message in self.received:
                    if message.branch == branch and message.code >= 200:
                        return message
                await self._come.wait()

    async def invite(
        self, offer: str, *, password: str | None = None, username: str = "", user: str = USER
    ) -> list[int]:
        """Call as Meta does; with a password the challenge is answered. Return the final statuses.

        Args:
            offer: a session description.
            password: the wrong one, most likely.
            username: that of the credentials; the business by default.
            user: whose call it pretends to be.
        """
        account, name = self.account, f"outgoing:wacid.{secrets.token_hex(8)}"
        told = SipCall(name.partition(":")[2], True, None, user=user)

        def headers(number: int) -> list[Header]:
            return [
                ("From", f'"{user}" <sip:+{user}@{DOMAIN}>;tag={name[-8:]}'),
                ("To", f"<sip:+{account.business}@{account.hostname}>"),
                ("Call-ID", name),
                ("CSeq", f"{number} INVITE"),
                ("Contact", f"<sip:+{user}@{DOMAIN};transport=tls>"),
                *meta_headers(told, captured=False, name="somebody.else"),
            ]

        answer = await self.ask("INVITE", headers(1), body=offer)
        codes = [answer.code]
        if password is not None and answer.code in ASKS:
            asks, header = ASKS[answer.code]
            asked = digest_fields(answer.value(asks))
            uri = f"sip:+{account.business}@{account.hostname}"
            text = credentials(asked, username or account.business, password, "INVITE", uri)
            codes.append((await self.ask("INVITE", [*headers(2), (header, text)], body=offer)).code)
        return codes

    async def in_dialog(
        self,
        method: str,
        call: SipCall,
        *,
        ours: str = "",
        theirs: str = "",
        ahead: int = 10,
        body: str = "",
    ) -> int:
        """Send a request in a dialog of Meta's; return the status of the answer.

        Args:
            method: BYE, INVITE, UPDATE and so on.
            call: the call whose Call-ID is used.
            ours: Meta's tag, in its place.
            theirs: the bridge's tag, in its place.
            ahead: by how much CSeq is above Meta's last.
            body: a session description.
        """
        dialog = call.dialog
        tagged = {
            "From": _tagged(dialog.ours, ours),
            "To": _tagged(dialog.theirs, theirs),
            "Call-ID": dialog.call_id,
            "CSeq": f"{dialog.sequence + ahead} {method}",
            "Contact": f"<sip:+{call.user}@{DOMAIN};transport=tls>",
        }
        answer = await self.ask(method, list(tagged.items()), uri=dialog.target, body=body)
        return answer.code


@asynccontextmanager
async def impostor(
    authority: Authority, account: Account, *, source: str = "127.0.0.66"
) -> AsyncIterator[Impostor]:
    """Connect to the bridge from an address of loopback."""
    made: list[Impostor] = []
    links = Links(lambda link, message: made[0].take(link, message))
    link = await links.connect(
        "127.0.0.1", account.port, name=account.hostname, context=authority.trust, source=source
    )
    made.append(Impostor(account, link))
    try:
        yield made[0]
    finally:
        await links.aclose()


def _tagged(address: str, tag: str) -> str:
    return f"{address.partition(';tag=')[0]};tag={tag}" if tag else address
