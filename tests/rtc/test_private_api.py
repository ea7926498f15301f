"""Every underscore name of aiortc, aioice and pylibsrtp that the bridge touches still fits."""

import ast
import inspect
from pathlib import Path
from typing import Any

import aiortc.rtcdtlstransport
import pytest
from aioice import Candidate, Connection, stun
from aioice.ice import CandidatePair, StunProtocol
from aiortc import RTCCertificate, RTCDtlsTransport
from aiortc.rtcdtlstransport import SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80
from OpenSSL import SSL
from pylibsrtp import Policy, Session

import bridge.rtc
from bridge.rtc import private_api

RTC = Path(bridge.rtc.__file__).parent


def dtls():
    no_ice: Any = None
    return RTCDtlsTransport(no_ice, [RTCCertificate.generateCertificate()])


async def test_a_connection_has_the_tables_we_read():
    connection = Connection(ice_controlling=False)
    assert private_api.protocols(connection) == []
    assert private_api.pairs(connection) == []
    assert private_api.remote_candidates(connection) == []
    assert private_api.nominated(connection) is None


async def test_the_nominated_pair_is_kept_by_component():
    connection = Connection(ice_controlling=False)
    candidate = Candidate("1", 1, "udp", 1, "192.0.2.1", 4000, "host")
    protocol = StunProtocol(connection)
    protocol.local_candidate = candidate
    connection._remote_candidates_end = True
    pair = CandidatePair(protocol, candidate)
    pair.nominated, pair.state = True, CandidatePair.State.SUCCEEDED
    connection.check_complete(pair)
    assert private_api.nominated(connection) is pair
    assert pair.remote_addr == ("192.0.2.1", 4000)


async def test_a_connection_can_stand_as_after_its_checks():
    connection = Connection(ice_controlling=False)
    candidate = Candidate("1", 1, "udp", 1, "192.0.2.1", 4000, "host")
    private_api.set_credentials(connection, "ours", "our password that is long")
    protocol = StunProtocol(connection)
    protocol.local_candidate = candidate
    before = {*vars(connection)}
    private_api.restore_pair(connection, CandidatePair(protocol, candidate), [candidate], 7)
    assert {*vars(connection)} == before  # no name that aioice does not have
    assert (connection.local_username, private_api.tie_breaker(connection)) == ("ours", 7)
    nominated = private_api.nominated(connection)
    assert nominated is not None
    assert nominated.remote_addr == ("192.0.2.1", 4000)
    assert connection.local_candidates == [candidate]
    for name in ("_check_list_done", "_early_checks_done", "_closing"):
        assert f"self.{name}" in inspect.getsource(Connection)


async def test_consent_is_queried_by_a_task_that_closing_ends():
    connection = Connection(ice_controlling=False)
    private_api.start_consent(connection)
    private_api.stop_consent(connection)
    task = connection._query_consent_task
    assert task is not None
    await connection.close()
    assert task.cancelled()
    assert "self._query_consent_task.cancel()" in inspect.getsource(Connection.close)


async def test_a_candidate_is_added_without_waiting():
    connection = Connection(ice_controlling=False)
    private_api.add_remote_candidate(
        connection, Candidate("1", 1, "udp", 1, "192.0.2.1", 4000, "host")
    )
    assert [one.port for one in private_api.remote_candidates(connection)] == [4000]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("get_component_candidates", ["component", "addresses", "timeout"]),
        ("check_incoming", ["message", "addr", "protocol"]),
        ("check_complete", ["pair"]),
        ("request_received", ["message", "addr", "protocol"]),
        ("query_consent", []),
        ("build_request", ["pair", "nominate"]),
        ("close", []),
    ],
)
def test_the_methods_of_a_connection_that_we_override_are_called_as_we_expect(name, parameters):
    method = getattr(Connection, name)
    assert [*inspect.signature(method).parameters][1:] == parameters


def test_a_socket_of_aioice_keeps_its_transactions_by_id():
    source = inspect.getsource(StunProtocol)
    assert "self.transactions: dict[bytes, stun.Transaction]" in source
    assert [*inspect.signature(stun.Transaction.response_received).parameters] == [
        "self",
        "message",
        "addr",
    ]


def test_the_relay_policy_gathers_no_address_by_itself():
    assert "TransportPolicy.ALL" in inspect.getsource(Connection.gather_candidates)


def test_dtls_takes_role_and_profiles_before_the_handshake():
    transport = dtls()
    private_api.dtls_prepare(transport, role="server", profiles=[SRTP_AEAD_AES_128_GCM])
    assert transport._role == "server"
    assert transport._srtp_profiles == [SRTP_AEAD_AES_128_GCM]
    source = inspect.getsource(RTCDtlsTransport.start)
    assert "srtp_profiles=self._srtp_profiles" in source
    assert 'if self._role == "auto"' in source


def test_dtls_asks_its_certificate_for_the_context_of_the_handshake():
    source = inspect.getsource(RTCDtlsTransport.start)
    assert "._create_ssl_context(\n" in source
    context = private_api.DtlsCertificate.generateCertificate()._create_ssl_context(
        srtp_profiles=[SRTP_AEAD_AES_128_GCM]
    )
    assert {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"} <= {
        *SSL.Connection(context).get_cipher_list()
    }


def test_dtls_has_no_keys_and_no_task_before_the_handshake():
    transport = dtls()
    assert private_api.dtls_profile(transport) == b""
    assert private_api.dtls_task(transport) is None
    assert transport._rx_srtp is None
    assert transport._tx_srtp is None
    private_api.dtls_discard_srtp(transport)
    assert private_api.dtls_secrets(transport) is None


def test_libsrtp_tells_how_often_a_sequence_has_begun_anew():
    policy = Policy(
        key=bytes(28),
        ssrc_type=Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    session = Session(policy)
    assert private_api.srtp_rollovers(session, 7) is None
    for sequence in (0xFFFF, 0):
        session.protect(b"\x80\0" + sequence.to_bytes(2, "big") + bytes(7) + b"\7sound")
    assert private_api.srtp_rollovers(session, 7) == 1


def test_dtls_uses_nothing_of_ice_but_what_a_link_has():
    tree = ast.parse(inspect.getsource(aiortc.rtcdtlstransport))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr in ("transport", "_transport")
    }
    assert used == {"_recv", "_send", "role"}


def test_client_keys_come_before_server_keys():
    material = bytes(range(56))
    assert SRTP_AEAD_AES_128_GCM.get_key_and_salt(material, 0) == bytes(
        [*range(16), *range(32, 44)]
    )
    assert len(SRTP_AES128_CM_SHA1_80.get_key_and_salt(bytes(60), 1)) == 30


def test_libsrtp_is_reached_through_pylibsrtp():
    policy = Policy(
        key=bytes(28),
        ssrc_type=Policy.SSRC_ANY_INBOUND,
        srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    session = Session(policy)
    kind = private_api.srtp_ffi.typeof(private_api.srtp_handle(session))
    assert kind.cname == "struct srtp_ctx_t_ *"
    for name in ("protect", "protect_rtcp", "unprotect", "unprotect_rtcp"):
        function = private_api.srtp_ffi.typeof(getattr(private_api.srtp_lib, f"srtp_{name}"))
        assert [one.cname for one in function.args] == ["struct srtp_ctx_t_ *", "void *", "int *"]


@pytest.mark.parametrize("path", sorted(RTC.rglob("*.py")), ids=lambda path: path.name)
def test_no_other_module_touches_a_name_with_an_underscore_of_another_object(path):
    if path.name == "private_api.py":
        return
    strangers = [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    assert strangers == []


def test_no_class_of_ours_reads_an_underscore_name_it_inherits():
    inherited = {*vars(Connection(ice_controlling=False)), *vars(Connection)}
    tree = ast.parse((RTC / "ice.py").read_text())
    own = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_")
    }
    assert {name for name in own & inherited if not name.startswith("__")} == set()
