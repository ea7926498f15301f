"""Alerts after a handshake that another process has done; real associations are in tests/rtc/moving."""

import msgspec
import pytest

from bridge.errors import HandoverRefused
from bridge.wire.dtls_alert import AlertRecords, derive_keys

SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305")


def keys(cipher=SUITES[0]):
    return derive_keys(
        cipher, secret=bytes(48), client_random=bytes(32), server_random=bytes([1]) * 32
    )


@pytest.mark.parametrize("cipher", SUITES)
def test_each_end_reads_that_the_other_closes(cipher):
    client, server = AlertRecords(keys(cipher), "client"), AlertRecords(keys(cipher), "server")
    assert server.closes(client.close_notify())
    assert client.closes(server.close_notify())
    assert not client.closes(client.close_notify())  # its own


@pytest.mark.parametrize("cipher", SUITES)
def test_a_changed_record_says_nothing(cipher):
    client, server = AlertRecords(keys(cipher), "client"), AlertRecords(keys(cipher), "server")
    record = client.close_notify()
    for place in range(len(record)):
        broken = record[:place] + bytes([record[place] ^ 1]) + record[place + 1 :]
        assert not server.closes(broken)
        assert not server.closes(record[:place])


def test_a_record_after_others_in_a_datagram_is_read():
    client, server = AlertRecords(keys(), "client"), AlertRecords(keys(), "server")
    handshake = b"\x16\xfe\xfd" + bytes(8) + b"\0\2hi"
    assert server.closes(handshake + client.close_notify())
    assert not server.closes(handshake)


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA", ""])
def test_another_suite_has_no_keys_here(cipher):
    assert keys(cipher) is None


def test_the_keys_of_both_ends_differ():
    found = keys()
    assert found is not None
    assert len({found.client_key, found.server_key}) == 2
    assert (len(found.client_key), len(found.client_iv)) == (16, 4)


@pytest.mark.parametrize("name", ["client_key", "server_key", "client_iv", "server_iv"])
def test_keys_of_no_suite_are_refused(name):
    with pytest.raises(HandoverRefused):
        AlertRecords(msgspec.structs.replace(keys(), **{name: b"short"}), "client")
