"""The double of Meta's SIP server does what Meta's pages and traces say, and punishes what Meta punishes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.calls.whatsapp.test_cloud import loudest
from tests.support.meta_sip.behaviour import DOMAIN, Account, Behaviour, SipCall
from tests.support.meta_sip.double import MetaSip
from tests.support.meta_sip.impostor import impostor
from tests.support.meta_sip.links import Link, Links
from tests.support.meta_sip.message import (
    Message,
    challenge,
    compose,
    credentials,
    digest,
    digest_fields,
    uri_in,
)
from tests.support.peers.meta_sdes import SdesPeer
from tests.support.servers.authority import Authority
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import BUSINESS, USER, RetryPolicy

pytestmark = pytest.mark.virtual_time
CONTACT = "sip:bridge@127.0.0.1;transport=tls"


class Business:
    """A business's SIP server of a few lines, which does as it is told; its media is the same kind of peer as Meta's."""

    def __init__(self, authority: Authority, *, name: str = "sip.example") -> None:
        self.links = Links(self._received)
        self.media = SdesPeer(tone(1, 440), repeat=True)
        self.authority, self.name = authority, name
        self.received: list[Message] = []
        self.link: Link | None = None
        """Ours to Meta."""
        self.algorithms = ["MD5"]
        self.headers: dict[str, str] = {}
        """Those of our INVITE that are to differ."""
        self.uri = f"sip:+{USER}@{DOMAIN};transport=tls"
        self.password = Account(0).password
        self.number = 0
        self.authorized: dict[str, str] = {}
        """The parameters of Meta's last credentials."""

    async def open(self) -> Account:
        issued = self.authority.issue(host=self.name)
        await self.links.listen(self.authority.server_context(issued))
        return Account(self.links.port)

    def reply(self, link: Link, request: Message, status: str, *more: Any, body: str = "") -> None:
        copied = [
            (name, text)
            for name in ("via", "from", "call-id", "cseq", "record-route")
            for text in request.all(name)
        ]
        to = request.value("to")
        to += "" if request.tag("to") else ";tag=ours"
        head = [*copied, ("To", to), ("Contact", f"<{CONTACT}>"), *more]
        link.send(compose(f"SIP/2.0 {status}", head, body))

    def _received(self, link: Link, message: Message) -> None:
        self.received.append(message)
        if message.method == "INVITE" and not message.code:
            self.authorized = digest_fields(message.value("authorization"))
            if not self.authorized:
                found = [
                    ("WWW-Authenticate", challenge("bridge", f"n{one}", algorithm=one))
                    for one in self.algorithms
                ]
                self.reply(link, message, "401 Unauthorized", *found)
            else:
                self.reply(link, message, "180 Ringing")
        elif message.method in {"BYE", "CANCEL"} and not message.code:
            self.reply(link, message, "200 OK")
            if message.method == "CANCEL":
                self.reply(*self.ringing(), "487 Request Terminated")

    def ringing(self) -> tuple[Link, Message]:
        found = [one for one in self.received if one.method == "INVITE" and not one.code]
        return self.links.taken[-1], found[-1]

    async def answer(self) -> None:
        link, invite = self.ringing()
        self.reply(link, invite, "200 OK", body=await self.media.answer(invite.body))

    def codes(self, method: str = "INVITE") -> list[int]:
        """Statuses of Meta's responses."""
        return [one.code for one in self.received if one.code and one.method == method]

    async def send(self, meta: MetaSip, method: str, *more: Any, body: str = "") -> None:
        """Send a request to Meta, with the next number."""
        if self.link is None or not self.link.open:
            self.link = await self.links.connect(
                "127.0.0.1",
                meta.port,
                name=DOMAIN,
                context=self.authority.trust,
                source="127.0.0.1",
            )
        self.number += method != "ACK"
        head = {
            "Via": f"SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKb{self.number}{method}",
            "From": f"<sip:+{BUSINESS}@{self.name}>;tag=ours",
            "To": f"<{self.uri}>",
            "Call-ID": "a-call",
            "CSeq": f"{self.number} {method}",
            "Contact": f"<{CONTACT}>",
        }
        self.link.send(
            compose(f"{method} {self.uri} SIP/2.0", [*(head | self.headers).items(), *more], body)
        )

    async def dial(self, meta: MetaSip, offer: str = "") -> int:
        """Send INVITE, answer the challenge; return the final or ringing status."""
        offer = offer or await self.media.offer()
        await self.send(meta, "INVITE", body=offer)
        await until(self.codes)
        asked = [digest_fields(text) for text in self.received[-1].all("proxy-authenticate")]
        uri = uri_in(self.headers.get("To", f"<{self.uri}>"))
        text = credentials(asked[0], BUSINESS, self.password, "INVITE", uri)
        await self.send(meta, "INVITE", ("Proxy-Authorization", text), body=offer)
        await until(lambda: [code for code in self.codes() if code > 100 and code != 407])
        return self.codes()[-1]

    async def aclose(self) -> None:
        await self.links.aclose()
        await self.media.aclose()


@asynccontextmanager
async def business(
    tmp_path: Any, *, name: str = "sip.example", **more: Any
) -> AsyncIterator[tuple[Business, MetaSip]]:
    authority = Authority(tmp_path)
    made = Business(authority, name=name)
    account = await made.open()
    async with MetaSip(authority, account, speech=tone(1, 880), repeat=True, **more) as meta:
        try:
            yield made, meta
        finally:
            await made.aclose()


async def active(made: Business, meta: MetaSip) -> SipCall:
    """Let a user call until both talk."""
    call = await meta.ring()
    await until(lambda: 180 in call.codes)
    await made.answer()
    await until(lambda: call.state == "ACTIVE")
    return call


async def test_a_user_who_rings_answers_the_challenge_and_hears_and_is_heard_after_our_first_packet(
    tmp_path,
):
    async with business(tmp_path) as (made, meta):
        call = await active(made, meta)
        assert call.codes == [401, 180, 200]
        assert not call.media.rtp_packets
        made.media.datagram_received(b"\x80" * 20, ("127.0.0.1", 9))
        assert made.media.forged == 1
        # Both peers wait for the other's first packet; ours is the one that has to send it.
        made.media.speak_to(("127.0.0.1", call.media.port))
        await call.media.wait_heard(1.0)
        await made.media.wait_heard(1.0)
        assert loudest(call.media.heard[-8000:]) == pytest.approx(440, abs=10)
        assert loudest(made.media.heard[-8000:]) == pytest.approx(880, abs=10)
        await call.media.send_digit("5")
        await until(lambda: made.media.digits == "5")
        assert call.media.gaps() == []
        await meta.hang_up(call)
        await until(lambda: any(one.method == "BYE" for one in made.received))
    assert meta.complaints == []
    bye = made.received[-1]
    assert (bye.value("x-wa-meta-wacid"), bye.value("x-wa-meta-call-duration")) == (call.wacid, "1")


@pytest.mark.full
async def test_its_invite_looks_like_metas(tmp_path):
    async with business(tmp_path) as (made, meta):
        call = await meta.ring(cta_payload="order-55")
        await until(lambda: 180 in call.codes)
        first, second = [one for one in made.received if one.method == "INVITE"]
    assert first.value("call-id") == second.value("call-id") == f"outgoing:{call.wacid}"
    assert first.uri == f"sip:+{BUSINESS}@sip.example;transport=tls"
    assert (len(first.all("via")), second.sequence - first.sequence) == (3, 1)
    assert made.authorized["uri"] == f"sip:+{BUSINESS}@sip.example"
    assert made.authorized["response"] == digest(made.authorized, made.password, "INVITE")
    assert first.value("x-wa-meta-cta-payload") == "order-55"
    assert (first.value("supported"), first.value("user-agent")) == ("", "Facebook SipGateway")


@pytest.mark.full
async def test_a_user_with_a_name_of_their_own_has_no_number(tmp_path):
    behaviour = Behaviour(caller="username", captured_headers=True, record_routes=0)
    async with business(tmp_path, behaviour=behaviour) as (made, meta):
        call = await meta.ring(username="nadia.k")
        await until(lambda: 180 in call.codes)
        invite = made.ringing()[1]
    assert USER not in str(invite.headers)
    assert invite.value("x-wa-meta-username") == "nadia.k"
    assert invite.value("x-wa-meta-wacid") == ""
    assert invite.value("route") != ""


@pytest.mark.full
@pytest.mark.parametrize(
    ("behaviour", "codes"),
    [
        (Behaviour(full_uri=True), [401, 180]),
        (Behaviour(only_md5=True), [401]),
        (Behaviour(), [401, 180]),
    ],
)
async def test_a_challenge_for_sha_256_alone_is_answered_unless_it_knows_md5_only(
    tmp_path, behaviour, codes
):
    async with business(tmp_path, behaviour=behaviour) as (made, meta):
        made.algorithms = ["SHA-256"]
        call = await meta.ring()
        await until(lambda: call.codes == codes or call.state == "ENDED")
        assert call.codes == codes


@pytest.mark.full
async def test_without_a_certificate_of_its_name_no_invite_comes(tmp_path):
    async with business(tmp_path, name="other.example") as (made, meta):
        await meta.ring()
        await until(lambda: meta.unreached)
        assert (meta.unreached, made.received) == (["certificate"], [])


@pytest.mark.full
async def test_a_caller_who_gives_up_cancels(tmp_path):
    async with business(tmp_path) as (made, meta):
        call = await meta.ring()
        await until(lambda: 180 in call.codes)
        await meta.hang_up(call)
        await until(lambda: call.state == "ENDED")
        assert call.codes == [401, 180, 487]
        assert "CANCEL" in [one.method for one in made.received]


@pytest.mark.full
async def test_nobody_who_answers_is_waited_for_no_longer_than_metas_patience(tmp_path):
    async with business(tmp_path, patience=RetryPolicy(answer=45.0)) as (_, meta):
        call = await meta.ring()
        await until(lambda: call.state == "ENDED", timeout=60)
        assert call.codes[-1] == 487


@pytest.mark.full
async def test_a_call_without_media_of_ours_ends_after_twenty_seconds(tmp_path):
    async with business(tmp_path) as (made, meta):
        call = await active(made, meta)
        await until(lambda: call.state == "ENDED", timeout=30)
        await until(lambda: made.received[-1].method == "BYE")
        assert "408" in made.received[-1].value("reason")


@pytest.mark.full
async def test_a_bye_may_come_over_a_connection_of_its_own_from_another_address(tmp_path):
    behaviour = Behaviour(fresh_connections=True, sources=("127.0.0.2", "127.0.0.3", "127.0.0.4"))
    async with business(tmp_path, behaviour=behaviour) as (made, meta):
        call = await active(made, meta)
        await meta.hang_up(call)
        await until(lambda: made.received[-1].method == "BYE")
        assert len(made.links.taken) == 3


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("SHA-256", "MD5")])
async def test_a_user_is_rung_after_a_challenge(tmp_path, algorithms):
    async with business(tmp_path, behaviour=Behaviour(algorithms=algorithms)) as (made, meta):
        assert await made.dial(meta) == 180
        await meta.pick_up(meta.last)
        await until(lambda: 200 in made.codes())
        answer = made.received[-1]
        assert "m=audio" in answer.body
        assert answer.value("contact").endswith(">;isfocus")
    assert meta.complaints == []
    assert meta.actions() == ["connect"]


@pytest.mark.full
@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"password": "x"}, "403 Invalid digest: response"),
        ({"uri": "sip:+1@192.0.2.1;transport=tls"}, "404 Not Found"),
        ({"uri": f"sips:+{USER}@{DOMAIN};transport=tls"}, "404 Not Found"),
        ({"headers": {"From": "<sip:+1@sip.example>;tag=o"}}, "400 Asset not found, "),
        (
            {"headers": {"From": f"<sip:+{BUSINESS}@else.where>;tag=o"}},
            "403 SIP server else.where ",
        ),
        ({"headers": {"To": f"<sip:+{USER}@{DOMAIN}>"}, "digest": "other"}, "403 Proxy auth uri "),
    ],
)
async def test_what_meta_refuses_is_refused_with_its_phrase(tmp_path, changed, status):
    async with business(tmp_path) as (made, meta):
        for name, value in changed.items():
            setattr(made, name, value)
        if changed.get("digest"):
            made.headers["To"] = f"<sip:+{USER}@{DOMAIN}>"
            offer = await made.media.offer()
            await made.send(meta, "INVITE", body=offer)
            await until(made.codes)
            asked = digest_fields(made.received[-1].value("proxy-authenticate"))
            text = credentials(asked, BUSINESS, made.password, "INVITE", made.uri)
            await made.send(meta, "INVITE", ("Proxy-Authorization", text), body=offer)
        else:
            await made.dial(meta)
        await until(lambda: meta.refused)
        assert meta.refused[0].startswith(status), meta.refused
        assert meta.calls == {}


@pytest.mark.full
async def test_a_description_without_keys_or_opus_is_refused(tmp_path):
    async with business(tmp_path) as (made, meta):
        offer = (await made.media.offer()).replace("opus/48000/2", "opus/8000")
        assert await made.dial(meta, offer) == 403
        assert meta.refused == ["403 SDP Validation Error: no Opus"]


@pytest.mark.full
async def test_reinvites_updates_and_registrations_are_refused_and_counted(tmp_path):
    async with business(tmp_path) as (made, meta):
        await made.dial(meta)
        call = meta.last
        await meta.pick_up(call)
        made.uri, made.headers["To"] = meta.contact(call), call.dialog.ours
        route = ("Route", ", ".join(f"<{uri}>" for uri in call.dialog.routes))
        for method in ("INVITE", "UPDATE", "REGISTER", "OPTIONS", "BYE"):
            await made.send(meta, method, route)
        await until(lambda: made.codes("BYE"))
        assert made.codes("INVITE")[-1] == 500
        assert (made.codes("UPDATE"), made.codes("REGISTER")) == ([405], [403])
        assert made.codes("OPTIONS") == []
        assert call.state == "ENDED"
        assert meta.complaints == ["a re-INVITE", "UPDATE is not in Allow"]


@pytest.mark.full
async def test_a_client_that_offers_alpn_gets_alert_120(tmp_path):
    async with business(tmp_path) as (made, meta):
        context = made.authority.trust
        context.set_alpn_protocols(["sip"])
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            await asyncio.open_connection(
                "127.0.0.1", meta.port, ssl=context, server_hostname=DOMAIN
            )
    assert meta.complaints == ["a TLS connection that offered ALPN"]


async def test_an_impostor_knows_all_but_the_password(tmp_path):
    async with business(tmp_path) as (made, meta):
        call = await active(made, meta)
        async with impostor(made.authority, meta.account) as other:
            assert await other.in_dialog("BYE", call, theirs="guessed") == 200
            bye = made.received[-1]
            assert (bye.tag("to"), bye.value("call-id")) == ("guessed", call.dialog.call_id)
