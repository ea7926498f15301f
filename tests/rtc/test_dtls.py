"""Certificates."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bridge.rtc.dtls import Certificates

DAY = 86_400.0


def test_one_certificate_serves_for_a_day():
    certificates = Certificates()
    assert certificates.current(5.0) is certificates.current(5.0 + DAY - 1)


def test_a_day_later_there_is_a_new_certificate():
    certificates = Certificates()
    first, second = certificates.current(5.0), certificates.current(5.0 + DAY)
    assert first.fingerprint != second.fingerprint
    assert certificates.current(6.0 + DAY) is second


def test_the_key_is_on_p256_and_the_fingerprint_is_that_of_the_certificate():
    certificate = Certificates().current(0.0)
    x509 = certificate.certificate._cert
    key = x509.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    digest = hashlib.sha256(x509.public_bytes(Encoding.DER)).hexdigest().upper()
    assert certificate.fingerprint.replace(":", "") == digest
