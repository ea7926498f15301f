"""Access tokens: what LiveKit's server SDKs sign for us is read, and nothing else is."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Unauthorized, WrongKey
from bridge.wire.livekit.access_token import (
    LEEWAY,
    MAX_IDENTITY,
    MAX_LENGTH,
    AccessToken,
    check,
    verify,
)
from tests.support.clients.livekit_token import SECRET, jwt, part

KEY = "APIsales"
NOW = 1_800_000_000.0
CLAIMS: dict[str, Any] = {
    "iss": KEY,
    "sub": "near",
    "nbf": NOW,
    "exp": NOW + 3600,
    "name": "Ann",
    "metadata": 3,
    "attributes": {"team": "sales"},
    "video": {"roomJoin": True, "room": "call-1", "canPublish": True, "roomCreate": True},
}


def granted(**video) -> str:
    return jwt(CLAIMS | {"video": CLAIMS["video"] | video})


def read(text, *, now=NOW) -> AccessToken:
    token = verify(text, {KEY: SECRET, "APIother": SECRET[::-1]})
    check(token, now=now)
    return token


def refused(text, *, now=NOW) -> str:
    """Return what a token is refused with."""
    with pytest.raises(Unauthorized) as error:
        read(text, now=now)
    assert SECRET not in str(error.value)
    return str(error.value)


def test_a_token_of_a_servers_sdk_is_read():
    token = read(jwt(CLAIMS))
    assert (token.issuer, token.identity, token.expires) == (KEY, "near", NOW + 3600)
    assert token.name == "Ann"
    assert token.grants.room == "call-1"


def test_what_is_not_denied_is_granted():
    grants = read(jwt(CLAIMS | {"video": {"roomJoin": True, "room": "call-1"}})).grants
    assert grants.publishes
    assert grants.subscribes


@pytest.mark.parametrize(
    ("denied", "grant"),
    [
        ({"canPublish": False}, "publishes"),
        ({"canPublishSources": ["camera"]}, "publishes"),
        ({"canPublish": False, "canPublishSources": ["microphone"]}, "publishes"),
        ({"canSubscribe": False}, "subscribes"),
    ],
)
def test_a_denial_is_honoured(denied, grant):
    assert not getattr(read(granted(**denied)).grants, grant)


@pytest.mark.parametrize("sources", [None, [], ["camera", "microphone"]])
def test_a_microphone_needs_no_list_of_sources_unless_there_is_one(sources):
    assert read(granted(canPublishSources=sources)).grants.publishes


def test_a_token_by_another_secret_is_refused():
    assert "signature" in refused(jwt(CLAIMS, secret=SECRET + "x"))


def test_a_token_by_the_secret_of_another_key_is_refused():
    assert "signature" in refused(jwt(CLAIMS, secret=SECRET[::-1]))


def test_a_token_of_an_unknown_key_is_refused():
    assert "(iss) is unknown" in refused(jwt(CLAIMS | {"iss": "APInobody"}))
    assert "(iss) is unknown" in refused(jwt({"sub": "near"}))


def test_a_key_without_a_secret_signs_nothing():
    with pytest.raises(WrongKey):
        verify(jwt(CLAIMS, secret=""), {KEY: ""})


@pytest.mark.parametrize("algorithm", ["none", "None", "hs256", "HS384", "HS512", "RS256", ""])
def test_no_other_algorithm_is_taken(algorithm):
    assert "HS256" in refused(jwt(CLAIMS, header={"alg": algorithm, "typ": "JWT"}))


def test_a_token_that_is_really_hs512_is_refused():
    header = {"alg": "HS512", "typ": "JWT"}
    assert "HS256" in refused(jwt(CLAIMS, header=header, digest=hashlib.sha512))


def test_a_token_without_a_signature_is_refused():
    unsigned = f"{part({'alg': 'none'})}.{part(CLAIMS)}."
    assert "HS256" in refused(unsigned)
    assert "signature" in refused(jwt(CLAIMS).rpartition(".")[0] + ".")


def test_an_extension_that_is_not_understood_is_refused():
    refused(jwt(CLAIMS, header={"alg": "HS256", "crit": ["b64"], "b64": False}))


def test_whether_it_has_expired_is_left_to_the_caller():
    assert read(jwt(CLAIMS), now=NOW + 9999).expires == NOW + 3600


def test_a_token_is_taken_from_a_minute_before_its_time():
    text = jwt(CLAIMS)
    read(text, now=NOW - LEEWAY)
    assert "nbf" in refused(text, now=NOW - LEEWAY - 1)


def test_a_token_without_a_start_is_taken():
    read(jwt({key: value for key, value in CLAIMS.items() if key != "nbf"}))


def test_a_token_that_never_expires_is_refused():
    claims = {key: value for key, value in CLAIMS.items() if key != "exp"}
    assert "exp" in refused(jwt(claims))


@pytest.mark.parametrize(
    ("video", "told"),
    [
        ({"roomJoin": False}, "roomJoin"),
        ({"roomJoin": False, "roomAdmin": True}, "roomJoin"),
        ({"room": ""}, "no room"),
    ],
)
def test_a_token_that_lets_nobody_join_is_refused(video, told):
    assert told in refused(granted(**video))


def test_a_token_without_any_grants_is_refused():
    claims = {key: value for key, value in CLAIMS.items() if key != "video"}
    assert "roomJoin" in refused(jwt(claims))


@pytest.mark.parametrize("identity", ["", "x" * (MAX_IDENTITY + 1), "two\nlines"])
def test_a_token_without_a_usable_identity_is_refused(identity):
    assert "identity" in refused(jwt(CLAIMS | {"sub": identity}))


@pytest.mark.parametrize(
    "claims",
    [
        CLAIMS | {"exp": "tomorrow"},
        CLAIMS | {"sub": 7},
        CLAIMS | {"video": {"roomJoin": "yes", "room": "call-1"}},
        [],
        b"\xff",
        b"[" * 5000,
        b'{"iss": "APIsales", "exp": 1' + b"0" * 400 + b"}",
    ],
)
def test_claims_of_the_wrong_form_are_refused(claims):
    refused(jwt(claims))


@pytest.mark.parametrize("header", [b"", b"[]", b"{", b"[" * 5000, b'{"alg": 1}', b"\xff"])
def test_a_header_of_the_wrong_form_is_refused(header):
    refused(f"{part(header)}.{part(CLAIMS)}.{part(b'x')}")


@given(text=st.text(max_size=80) | st.text("eyJ.-_=", max_size=80))
def test_any_text_is_refused_in_the_same_way(text):
    refused(text)


@given(st.data())
def test_a_token_that_was_changed_anywhere_is_refused(data):
    text = jwt(CLAIMS)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(exclude_characters=text[at]))
    refused(text[:at] + other + text[at + 1 :])


def test_a_text_that_came_as_broken_utf_8_is_refused():
    refused(jwt(CLAIMS) + "\udcff")


def test_a_token_that_is_too_long_is_refused():
    refused(jwt(CLAIMS | {"metadata": "x" * MAX_LENGTH}))
