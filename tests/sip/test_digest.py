"""Answers to digest challenges."""

import random

import pytest

from bridge.sip.boundary import Credentials
from bridge.sip.digest import DigestClient, digest_parameters, digest_response, hashed
from tests.support.sip.sip_text import read, request


def client(password="secret"):
    return DigestClient(Credentials("anna", password), random.Random(1).randbytes)


def challenge(*values, code=401):
    name = "WWW_Authenticate" if code == 401 else "Proxy_Authenticate"
    return read(request(start=f"SIP/2.0 {code} x", **{name: list(values)}))


def answered(digest, *values, code=401):
    assert digest.challenged(challenge(*values, code=code), {})
    asked = read(request("REGISTER", "sip:example.org"))
    digest.authorize(asked)
    name = "authorization" if code == 401 else "proxy-authorization"
    return [digest_parameters(value) for value in asked.headers.all(name)]


def test_the_examples_of_rfc_7616():
    given = {
        "uri": "/dir/index.html", "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "qop": "auth",
    }  # fmt: skip
    expected = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, response in expected.items():
        ha1 = hashed(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
        assert digest_response(algorithm, ha1, "GET", given) == response


def test_the_strongest_of_a_realm_is_answered():
    (given,) = answered(
        client(),
        'Digest realm="r", nonce="m", algorithm=MD5, qop="auth"',
        'Digest realm="r", nonce="s", algorithm=SHA-256, qop="auth,auth-int", opaque="o,p"',
        'Digest realm="r", nonce="x", algorithm=SHA-512-256, qop="auth"',
    )
    assert (given["algorithm"], given["nonce"], given["qop"]) == ("SHA-256", "s", "auth")
    assert given["opaque"] == "o,p"
    assert given["nc"] == "00000001"
    assert given["uri"] == "sip:example.org"


def test_a_challenge_without_qop_or_algorithm_is_answered_as_it_was_in_1997():
    (given,) = answered(client(), 'Digest realm="r", nonce="n"', code=407)
    assert not {"qop", "nc", "cnonce", "algorithm"} & given.keys()
    ha1 = hashed("MD5", "anna", "r", "secret")
    assert given["response"] == digest_response("MD5", ha1, "REGISTER", given)


def test_every_realm_is_answered():
    values = [f'Digest realm="{realm}", nonce="n", qop="auth"' for realm in "ab"]
    assert [given["realm"] for given in answered(client(), *values)] == ["a", "b"]


def test_a_realm_that_asked_for_sha_256_gets_no_md5():
    digest = client()
    answered(digest, 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"')
    assert not digest.challenged(
        challenge('Digest realm="r", nonce="n", algorithm=MD5, qop="auth"'), {}
    )


def test_a_realm_is_answered_once_in_a_request_unless_its_nonce_was_stale():
    digest = client()
    attempts: dict[str, int] = {}
    first = challenge('Digest realm="r", nonce="1", qop="auth"')
    assert digest.challenged(first, attempts)
    assert not digest.challenged(first, attempts)
    assert digest.challenged(challenge('Digest realm="r", nonce="2", stale=TRUE'), attempts)
    assert digest.challenged(challenge('Digest realm="r", nonce="3", stale=true'), attempts)
    assert not digest.challenged(challenge('Digest realm="r", nonce="4", stale=true'), attempts)


def test_the_realms_that_are_remembered_have_an_end():
    digest = client()
    given = []
    for realm in range(20):
        given = answered(digest, f'Digest realm="{realm}", nonce="n", qop="auth"')
    assert [each["realm"] for each in given] == ["16", "17", "18", "19"]


def test_a_nonce_that_is_used_again_is_counted():
    digest = client()
    answered(digest, 'Digest realm="r", nonce="n", qop="auth"')
    asked = read(request("REGISTER"))
    digest.authorize(asked)
    given = digest_parameters(asked.headers.first("authorization")) or {}
    assert given["nc"] == "00000002"


@pytest.mark.parametrize(
    "value",
    [
        "Basic realm=x",
        'Digest realm="r"',
        'Digest nonce="r"',
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r", nonce="n", algorithm=MD5-sess',
        'Digest realm="r, nonce="n',
        "Digest ,,,",
        "",
    ],
)
def test_what_cannot_be_answered_is_not(value):
    assert not client().challenged(challenge(value), {})


def test_without_credentials_nothing_is_answered():
    nobody = DigestClient(None, random.Random(1).randbytes)
    assert not nobody.challenged(challenge('Digest realm="r", nonce="n"'), {})


def test_quoted_parameters_may_hold_commas_and_escapes():
    assert digest_parameters('digest a="x, \\"y\\"" , B=z,c=""') == {
        "a": 'x, "y"',
        "b": "z",
        "c": "",
    }


def test_the_password_is_not_shown():
    assert "secret" not in repr(client())
