"""Signatures, against values worked out by hand with other means."""

import base64
import hashlib
import hmac

from bridge.wire.signature import standard, timestamped, twilio

BODY = b'{"a":1}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_timestamped_signature_is_keyed_by_the_secrets_text():
    expected = hmac.new(SECRET.encode(), b"1700000000." + BODY, hashlib.sha256).hexdigest()
    assert timestamped(SECRET, BODY, now=1700000000.9) == f"t=1700000000,v1={expected}"


def test_the_example_of_the_standard_is_signed_as_it_says():
    headers = standard(
        SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', now=1614265330
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_without_the_prefix_is_taken_as_it_is():
    headers = standard("secret", "id", BODY, now=1)
    expected = hmac.new(b"secret", b"id.1." + BODY, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


def test_a_prefixed_secret_that_is_not_base64_is_taken_as_it_is():
    expected = hmac.new(b"whsec_%%", b"id.1." + BODY, hashlib.sha256).digest()
    headers = standard("whsec_%%", "id", BODY, now=1)
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


def test_a_handshake_is_signed_for_twilio_servers_by_the_url_alone():
    url = "wss://agent.example.com/media?x=1"
    expected = hmac.new(SECRET.encode(), url.encode(), hashlib.sha1).digest()
    assert twilio(SECRET, url) == base64.b64encode(expected).decode()
