"""Those who pose as a trunk over TLS without a certificate for it, and who call over TLS without a password."""

import asyncio
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typing_extensions import override

from bridge.http.resolver import Service
from bridge.sip.boundary import Credentials, Target
from bridge.sip.events import Answered, Refused
from bridge.trunk import sockets as sip_sockets
from bridge.trunk.sockets import SipSockets, Tls
from bridge.trunk.tls import client_context, server_context
from bridge.trunk.trunk import TrunkAddress
from bridge.trunk.trunks import TrunkHealth
from tests.support.servers.authority import Authority
from tests.support.sip.sip_agents import SDP, TRUSTED, sip_agent, trunk_to
from tests.support.sip.sip_peer import OPTIONS, running, stream_peer
from tests.support.waiting import until

HOST = "trunk.test"

pytestmark = pytest.mark.filterwarnings(
    "ignore:ssl.TLSVersion.TLSv1"
)  # which is what is attacked with


class Rogue:
    """Who has a key, and certificates for it that the trusted authority has not issued for the trunk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trusted = Authority(folder)
        self.key = ec.generate_private_key(ec.SECP256R1())

    def name(self, common: str = HOST) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    def context(self, *chain: x509.Certificate) -> ssl.SSLContext:
        """Return what its server shows."""
        cert, key = self.folder / "rogue.pem", self.folder / "rogue.key"
        pem = serialization.Encoding.PEM
        cert.write_bytes(b"".join(each.public_bytes(pem) for each in chain))
        key.write_bytes(
            self.key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return server_context(cert=str(cert), key=str(key))

    def certificate(
        self, signed_by: Authority | None = None, *, host: str = HOST, **given: int
    ) -> x509.Certificate:
        signer = signed_by or self.trusted
        made: x509.Certificate = signer.sign(
            self.name(host),
            self.key,
            [x509.DNSName(host)],
            given.get("days", 90),
            since=given.get("since", -30),
        )
        return made

    def other(self) -> Authority:
        """Return an authority that nobody trusts, of the trusted one's name."""
        folder = self.folder / "other"
        folder.mkdir(exist_ok=True)
        return Authority(folder)


def foreign(rogue: Rogue) -> ssl.SSLContext:
    other = rogue.other()
    return rogue.context(rogue.certificate(other), other.certificate)


def with_the_trusted_one_beside_it(rogue: Rogue) -> ssl.SSLContext:
    return rogue.context(rogue.certificate(rogue.other()), rogue.trusted.certificate)


def self_signed(rogue: Rogue) -> ssl.SSLContext:
    itself = rogue.other()
    itself.key, itself.name = rogue.key, rogue.name()
    return rogue.context(rogue.certificate(itself))


def signed_by_a_leaf(rogue: Rogue) -> ssl.SSLContext:
    """Sign the trunk's name with a certificate of one's own, which is good and no authority's."""
    own = ec.generate_private_key(ec.SECP256R1())
    leaf = rogue.trusted.sign(rogue.name("rogue.test"), own, [x509.DNSName("rogue.test")], 90)
    posing = rogue.other()
    posing.key, posing.name = own, rogue.name("rogue.test")
    return rogue.context(rogue.certificate(posing), leaf)


def with_the_name_in_the_subject_alone(rogue: Rogue) -> ssl.SSLContext:
    return rogue.context(rogue.trusted.sign(rogue.name(), rogue.key, [], 90))


def for_its_address(rogue: Rogue) -> ssl.SSLContext:
    names = [x509.IPAddress(ip_address("127.0.0.1"))]
    return rogue.context(rogue.trusted.sign(rogue.name(), rogue.key, names, 90))


def of_an_old_version(rogue: Rogue) -> ssl.SSLContext:
    context = rogue.context(rogue.certificate())
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


BAD: dict[str, tuple[Callable[[Rogue], ssl.SSLContext], str]] = {
    "expired": (lambda r: r.context(r.certificate(days=-1)), "has expired"),
    "not yet valid": (lambda r: r.context(r.certificate(since=10)), "not yet valid"),
    "foreign": (foreign, "signature failure"),
    "foreign, the trusted one beside it": (with_the_trusted_one_beside_it, "certificate: "),
    "self-signed": (self_signed, "self.signed|issuer"),
    "signed by a leaf": (signed_by_a_leaf, "invalid CA certificate"),
    "another host's": (lambda r: r.context(r.certificate(host="rogue.test")), "mismatch"),
    "the host in its subject alone": (with_the_name_in_the_subject_alone, "not valid for"),
    "its address": (for_its_address, "not valid for"),
    "TLS 1.1": (of_an_old_version, "TLS: |connection failed"),
}


@pytest.fixture
def rogue(tmp_path):
    return Rogue(tmp_path)


@pytest.mark.parametrize("kind", BAD)
async def test_nothing_is_said_to_a_server_whose_certificate_is(rogue, kind):
    show, reason = BAD[kind]
    sockets = SipSockets(tls=Tls(client=client_context(ca=str(rogue.trusted.path))))
    async with running(sockets), stream_peer(show(rogue)) as peer:
        target = Target("tls", "127.0.0.1", peer.port)
        with pytest.raises(OSError, match=reason):
            await sockets.connect(target, owner="a", name=HOST)
        assert not peer.got
        assert not sockets._connections._streams


async def test_a_good_certificate_is_taken(rogue):
    sockets = SipSockets(tls=Tls(client=client_context(ca=str(rogue.trusted.path))))
    shown = rogue.context(rogue.certificate())
    async with running(sockets), stream_peer(shown) as peer:
        target = await sockets.connect(Target("tls", "127.0.0.1", peer.port), owner="a", name=HOST)
        sockets.send(OPTIONS, target)
        await until(lambda: bytes(peer.got) == OPTIONS)


async def test_a_server_that_speaks_no_tls_is_told_nothing(rogue):
    sockets = SipSockets(tls=Tls(client=client_context(ca=str(rogue.trusted.path))))
    async with running(sockets), stream_peer() as peer:
        target = Target("tls", "127.0.0.1", peer.port)

        async def answer() -> None:
            await until(lambda: peer.writers)
            peer.writers[0].write(b"SIP/2.0 200 OK\r\n\r\n")

        answering = asyncio.create_task(answer())
        with pytest.raises(OSError, match="TLS"):
            await sockets.connect(target, owner="a", name=HOST)
        await answering
        assert b"SIP" not in peer.got


class Names:
    """The trunk's SRV record as a forger of DNS has it: a host of its own, with a certificate of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def resolve(self, host: str):
        return [ip_address("127.0.0.1")]

    async def services(self, name: str):
        return [Service(0, 0, self.port, "rogue.test")]


async def test_forged_names_lead_no_call_and_no_password_to_another_host(rogue):
    trusting = Tls(client=client_context(ca=str(rogue.trusted.path)))
    good_for_itself = rogue.context(rogue.certificate(host="rogue.test"))
    async with (
        stream_peer(good_for_itself) as peer,
        sip_agent(None, tls=trusting, dns=Names(peer.port)) as ours,
    ):
        trunk = TrunkAddress(
            name="trunk",
            host=HOST,
            transport="tls",
            credentials=Credentials("me", "secret"),
            register_seconds=60,
        )
        ours.agent.trunks.keep(trunk)
        call = ours.call(trunk)
        assert (await call.event(Refused)).code == 503
        await until(lambda: ours.agent.trunks.health("trunk").reachable is False)
        health = ours.agent.trunks.health("trunk")
        assert isinstance(health, TrunkHealth)
        assert "certificate" in health.last_error
        assert not peer.got


async def test_a_connection_that_is_opened_anew_is_verified_anew(rogue):
    sockets = SipSockets(tls=Tls(client=client_context(ca=str(rogue.trusted.path))))
    failed: list[Target] = []
    sockets.on_failure = failed.append
    async with running(sockets):
        async with stream_peer(rogue.context(rogue.certificate())) as peer:
            port = peer.port
            target = await sockets.connect(Target("tls", "127.0.0.1", port), owner="a", name=HOST)
            sockets.send(OPTIONS, target)
            await until(lambda: peer.got)
        await until(lambda: failed == [target])
        got: list[bytes] = []

        class Posing(asyncio.Protocol):
            @override
            def data_received(self, data: bytes) -> None:
                got.append(data)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(Posing, "127.0.0.1", port, ssl=foreign(rogue))
        async with server:
            sockets.send(OPTIONS, target)
            await until(lambda: len(failed) == 2)
        assert not got


@pytest.fixture
def listening(rogue):
    """Return the TLS of a bridge that listens, as itself."""
    return Tls(server=rogue.context(rogue.certificate()))


async def asked(port: int, context: ssl.SSLContext) -> bytes:
    """Send an OPTIONS over TLS from an address that is no trunk's, and return what comes back."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=HOST, local_addr=("127.0.0.66", 0)
    )
    writer.write(OPTIONS.replace(b"/TCP", b"/TLS"))
    answer = await reader.readuntil(b"\r\n")
    writer.close()
    return answer


@pytest.mark.parametrize("shown", ["none", "self-signed", "the authority's"])
async def test_a_callers_certificate_stands_for_no_password(rogue, listening, shown):
    context = rogue.trusted.trust
    if shown != "none":
        itself = rogue.other()
        itself.key, itself.name = rogue.key, rogue.name()
        made = rogue.certificate(itself if shown == "self-signed" else None)
        rogue.context(made)  # writes the files
        context.load_cert_chain(rogue.folder / "rogue.pem", rogue.folder / "rogue.key")
    async with sip_agent("tls", tls=listening) as theirs:
        assert await asked(theirs.port, context) == b"SIP/2.0 401 Unauthorized\r\n"


async def test_a_caller_that_speaks_an_old_version_or_no_tls_gets_nothing(rogue, listening):
    old = rogue.trusted.trust
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with sip_agent("tls", tls=listening) as theirs:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asked(theirs.port, old)
        reader, writer = await asyncio.open_connection("127.0.0.1", theirs.port)
        writer.write(OPTIONS)
        assert b"SIP" not in await reader.read()
        writer.close()
        assert theirs.counted.messages == {}


async def test_callers_that_never_finish_their_handshake_leave_the_trunk_its_connection(
    rogue, listening, monkeypatch
):
    monkeypatch.setattr(sip_sockets, "MAX_ACCEPTED", 20)
    trusting = Tls(client=client_context(ca=str(rogue.trusted.path)))
    shown = Tls(server=listening.server)
    async with sip_agent("tls", tls=shown, inbound=[TRUSTED]) as theirs:
        silent = [await asyncio.open_connection("127.0.0.1", theirs.port) for _ in range(60)]
        async with sip_agent(None, tls=trusting, dns=Names(theirs.port)) as ours:
            call = ours.call(TrunkAddress(name="trunk", host=HOST, transport="tls"))
            (await theirs.invited()).dialog.answer(SDP)
            await call.event(Answered)
        for _, writer in silent:
            writer.close()


async def test_a_trunks_certificate_for_its_address_is_good_where_the_setting_is_an_address(rogue):
    trusting = Tls(client=client_context(ca=str(rogue.trusted.path)))
    shown = Tls(server=for_its_address(rogue))
    async with (
        sip_agent("tls", tls=shown, inbound=[TRUSTED]) as theirs,
        sip_agent(None, tls=trusting) as ours,
    ):
        call = ours.call(trunk_to(theirs.port, transport="tls"))
        (await theirs.invited()).dialog.refuse(486)
        assert (await call.event(Refused)).code == 486
