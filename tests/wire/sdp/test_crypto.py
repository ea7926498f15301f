import base64

import pytest

from bridge.errors import SdpError
from bridge.wire.sdp.crypto import SUITES, Crypto, read_cryptos, write_cryptos
from bridge.wire.sdp.lines import Media, split_description

KEY = base64.b64encode(bytes(range(30))).decode()
CM80 = "AES_CM_128_HMAC_SHA1_80"


def media(*cryptos: str) -> Media:
    lines = "".join(f"a=crypto:{each}\r\n" for each in cryptos)
    (found,) = split_description(f"v=0\r\nm=audio 4000 RTP/SAVP 0\r\n{lines}").media
    return found


def test_a_key_is_read_with_its_suite_and_tag() -> None:
    assert read_cryptos(media(f"1 {CM80} inline:{KEY}")) == (Crypto(1, CM80, bytes(range(30))),)


@pytest.mark.parametrize("suite", list(SUITES))
def test_what_is_written_is_read(suite: str) -> None:
    mine = (Crypto(7, suite, bytes(SUITES[suite])),)
    (line,) = write_cryptos(mine)
    assert read_cryptos(media(line.removeprefix("a=crypto:"))) == mine


@pytest.mark.parametrize("rest", ["|2^31", "|2147483648", "|4194304", "|2^48", " WSH=64", " -X=1"])
def test_lifetimes_that_outlast_a_call_and_harmless_parameters_are_taken(rest: str) -> None:
    assert len(read_cryptos(media(f"1 {CM80} inline:{KEY}{rest}"))) == 1


@pytest.mark.parametrize(
    "line",
    [
        f"1 {CM80} inline:{KEY}|2^20",
        f"1 {CM80} inline:{KEY}|1000",
        f"1 {CM80} inline:{KEY}|2^31|1:4",
        f"1 {CM80} inline:{KEY}|1:1",
        f"1 {CM80} inline:{KEY}|1:1;inline:{KEY}|2:1",
        f"1 {CM80} inline:{KEY} UNENCRYPTED_SRTP",
        f"1 {CM80} inline:{KEY} KDR=4",
        f"1 F8_128_HMAC_SHA1_80 inline:{KEY}",
    ],
)
def test_a_key_that_would_be_used_in_a_way_not_spoken_here_is_left_out(line: str) -> None:
    other = f"2 {CM80} inline:{KEY}"
    assert [one.tag for one in read_cryptos(media(line, other))] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1",
        f"x {CM80} inline:{KEY}",
        f"1 {CM80}",
        f"1 {CM80} inline:",
        f"1 {CM80} inline:???",
        f"1 {CM80} inline:{KEY[:-4]}",
        f"1 {CM80} inline:AAA",
        f"1 {CM80} inline:A",
        f"1 {CM80} prompt:{KEY}",
    ],
)
def test_a_malformed_key_is_an_error_of_its_line(line: str) -> None:
    with pytest.raises(SdpError, match="line 3"):
        read_cryptos(media(line))


def test_a_key_is_not_shown() -> None:
    assert "key" not in repr(Crypto(1, CM80, bytes(30)))
