"""Snapshots of peers as data."""

import pytest

from bridge.errors import HandoverRefused
from bridge.wire.sdp.crypto import Crypto
from bridge.wire.snapshot.peer import VERSION, CryptoSnapshot, check_version, restore_counts


def test_another_version_is_refused():
    check_version(VERSION)
    for version in (0, VERSION + 1):
        with pytest.raises(HandoverRefused):
            check_version(version)


def test_counts_that_a_version_does_not_have_are_dropped():
    counts = {"empty": 0, "new": 0}
    restore_counts(counts, {"empty": 3, "old": 7})
    assert counts == {"empty": 3, "new": 0}


def test_keys_come_back_and_are_not_printed():
    crypto = Crypto(1, "AEAD_AES_128_GCM", b"secret" * 4)
    snapshot = CryptoSnapshot.of(crypto)
    assert snapshot.crypto() == crypto
    assert "secret" not in repr(snapshot) + str(snapshot) + repr([snapshot])
