"""Digest credentials of others."""

import random

import pytest

from bridge.sip.boundary import Challenge, Credentials
from bridge.sip.digest import DigestClient, digest_parameters, digest_response, hashed
from bridge.sip.digest_server import (
    MAX_ADDRESSES,
    MAX_FAILURES,
    MAX_USED,
    DigestDecision,
    DigestServer,
)
from tests.support.sip.sip_text import invite, read, request

HOST = "198.51.100.7"
TRUNK = Challenge("trunk")


def ha1(realm, username, algorithm):
    return hashed(algorithm, username, realm, "secret") if username == "anna" else None


def server():
    return DigestServer(b"s" * 32, ha1)


def login(
    digest, now=0.0, *, host=HOST, username="anna", password="secret", challenge=TRUNK, **changed
):
    client = DigestClient(Credentials(username, password), random.Random(now).randbytes)
    fields = [value for _, value in digest.challenges(challenge, host, now)]
    response = request(start="SIP/2.0 401 x", WWW_Authenticate=fields)
    assert client.challenged(read(response), {})
    asked = read(invite())
    client.authorize(asked)
    for name, value in changed.items():
        given = asked.headers.first("authorization").replace(name, value)
        asked.headers.put("authorization", given)
    return asked


@pytest.mark.parametrize("algorithms", [("SHA-256", "MD5"), ("MD5",), ("MD5", "SHA-256")])
def test_right_credentials(algorithms):
    challenge, digest = Challenge("trunk", algorithms), server()
    asked = login(digest, challenge=challenge)
    assert digest.check(asked, challenge, HOST, 1.0) == (DigestDecision.RIGHT, "anna")


def test_credentials_are_good_once():
    digest = server()
    asked = login(digest)
    digest.check(asked, TRUNK, HOST, 1.0)
    assert digest.check(asked, TRUNK, HOST, 1.0)[0] is DigestDecision.STALE


def test_an_old_nonce_is_stale_and_not_wrong():
    digest = server()
    assert digest.check(login(digest), TRUNK, HOST, 300.0)[0] is DigestDecision.STALE
    assert "stale=true" in digest.challenges(TRUNK, HOST, 0.0, stale=True)[0][1]


def test_a_nonce_belongs_to_its_source_and_to_us():
    digest = server()
    asked = login(digest)
    assert digest.check(asked, TRUNK, "203.0.113.1", 1.0)[0] is DigestDecision.STALE
    assert DigestServer(b"t" * 32, ha1).check(asked, TRUNK, HOST, 1.0)[0] is DigestDecision.STALE


@pytest.mark.parametrize(
    "given",
    [
        {"password": "other"},
        {"username": "nobody"},
        {"sip:callee": "sip:another"},
        {"qop=auth": "qop=auth-int"},
        {"SHA-256": "SHA-512"},
        {'response="': 'response="0'},
    ],
)
def test_wrong_credentials(given):
    digest = server()
    assert digest.check(login(digest, **given), TRUNK, HOST, 1.0)[0] is DigestDecision.WRONG


@pytest.mark.parametrize(
    "count", ["ZZZZZZZZ", "0000000", "000000001", "0x000001", "\u0660" * 8, ""]
)
def test_a_nonce_count_that_is_no_hexadecimal_number_is_wrong(count):
    digest = server()
    asked = login(digest)
    given = digest_parameters(asked.headers.first("authorization"))
    assert given is not None
    given["nc"] = count
    right = digest_response("SHA-256", ha1("trunk", "anna", "SHA-256"), "INVITE", given)
    fields = {name: f'"{value}"' for name, value in (given | {"response": right}).items()}
    asked.headers.put("authorization", "Digest " + ", ".join(f"{n}={v}" for n, v in fields.items()))
    assert digest.check(asked, TRUNK, HOST, 1.0)[0] is DigestDecision.WRONG


def test_an_algorithm_that_was_not_offered_is_wrong():
    digest = server()
    asked = login(digest, challenge=Challenge("trunk", ("MD5",)))
    assert (
        digest.check(asked, Challenge("trunk", ("SHA-256",)), HOST, 1.0)[0] is DigestDecision.WRONG
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        "Basic x",
        'Digest realm="other"',
        'Digest realm="trunk',
        'Digest realm="trunk", nonce="\udce3"',
    ],
)
def test_credentials_that_are_none_count_for_nothing(value):
    digest = server()
    asked = read(invite(Authorization=value))
    assert digest.check(asked, TRUNK, HOST, 1.0)[0] in (
        DigestDecision.MISSING,
        DigestDecision.STALE,
    )
    assert digest.delay(HOST, 1.0) == 0


def test_after_five_failures_an_address_waits_longer_each_time_and_is_forgiven_in_the_end():
    digest = server()
    for n in range(MAX_FAILURES):
        assert digest.delay(HOST, n) == 0
        digest.check(login(digest, n, password="x"), TRUNK, HOST, n)
    assert [digest.delay(HOST, 10) for _ in range(6)] == [1, 2, 4, 8, 16, 16]
    assert digest.delay("203.0.113.1", 10) == 0
    assert digest.delay(HOST, 700) == 0


def test_a_right_password_clears_the_count():
    digest = server()
    for n in range(MAX_FAILURES - 1):
        digest.check(login(digest, n, password="x"), TRUNK, HOST, n)
    digest.check(login(digest, 6), TRUNK, HOST, 6)
    digest.check(login(digest, 7, password="x"), TRUNK, HOST, 7)
    assert digest.delay(HOST, 8) == 0


def test_the_oldest_of_many_addresses_that_failed_is_forgotten():
    digest = server()
    for host in (*[HOST] * MAX_FAILURES, *map(str, range(MAX_ADDRESSES - 1))):
        digest.check(login(digest, host=host, password="x"), TRUNK, host, 0.0)
    assert digest.delay(HOST, 1.0) > 0
    digest.check(login(digest, host="another", password="x"), TRUNK, "another", 0.0)
    assert digest.delay(HOST, 1.0) == 0


def test_the_oldest_of_many_nonce_counts_is_forgotten():
    digest, client = (
        server(),
        DigestClient(Credentials("anna", "secret"), random.Random(1).randbytes),
    )
    fields = [value for _, value in digest.challenges(TRUNK, HOST, 0.0)]
    assert client.challenged(read(request(start="SIP/2.0 401 x", WWW_Authenticate=fields)), {})

    def used():
        asked = read(invite())
        client.authorize(asked)
        assert digest.check(asked, TRUNK, HOST, 1.0)[0] is DigestDecision.RIGHT
        return asked

    first = used()
    for _ in range(MAX_USED - 1):
        used()
    assert digest.check(first, TRUNK, HOST, 1.0)[0] is DigestDecision.STALE
    used()
    assert digest.check(first, TRUNK, HOST, 1.0)[0] is DigestDecision.RIGHT


@pytest.mark.parametrize(
    ("asked_for", "given", "lenient", "decision"),
    [
        ("sip:+1555@b.example;transport=tls", "sip:+1555@b.example", True, DigestDecision.RIGHT),
        ("sip:+1;tgrp=wa@b.example;lr", "sip:+1;tgrp=wa@b.example", True, DigestDecision.RIGHT),
        ("sip:+1555@b.example;transport=tls", "sip:+1555@b.example", False, DigestDecision.WRONG),
        ("sip:+1555@b.example:5061;lr", "sip:+1555@b.example", True, DigestDecision.WRONG),
        ("sip:+1555@b.example;lr", "sip:+1666@b.example", True, DigestDecision.WRONG),
        ("sip:+1555@b.example;lr", "sip:+1555@b.example;x", True, DigestDecision.WRONG),
    ],
)
def test_the_uri_of_some_users_may_lack_parameters(asked_for, given, lenient, decision):
    digest = DigestServer(b"s" * 32, ha1, lambda user: lenient and user == "anna")
    asked = login(digest)
    asked.uri = given
    client = DigestClient(Credentials("anna", "secret"), random.Random(3).randbytes)
    fields = [value for _, value in digest.challenges(TRUNK, HOST, 0.0)]
    client.challenged(read(request(start="SIP/2.0 401 x", WWW_Authenticate=fields)), {})
    client.authorize(asked)
    asked.uri = asked_for
    assert digest.check(asked, TRUNK, HOST, 1.0)[0] is decision
