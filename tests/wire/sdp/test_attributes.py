import pytest

from bridge.audio.codec.codec import G722, OPUS, PCMA, PCMU
from bridge.errors import SdpError
from bridge.wire.sdp.attributes import read_events, read_formats
from bridge.wire.sdp.lines import Media, split_description


def media(formats: str, *attributes: str) -> Media:
    lines = "".join(f"a={each}\r\n" for each in attributes)
    (found,) = split_description(f"v=0\r\nm=audio 4000 RTP/AVP {formats}\r\n{lines}").media
    return found


def test_static_payload_types_need_no_rtpmap() -> None:
    found = read_formats(media("8 0 9 18"))
    assert [(one.codec, one.payload_type) for one in found] == [(PCMA, 8), (PCMU, 0), (G722, 9)]


def test_an_rtpmap_takes_precedence_over_a_static_payload_type() -> None:
    found = read_formats(media("0 8 96", "rtpmap:0 GSM/8000", "rtpmap:96 pcmu/8000/1"))
    assert [(one.codec, one.payload_type) for one in found] == [(PCMA, 8), (PCMU, 96)]


def test_opus_is_read_with_its_parameters() -> None:
    line = media("107", "rtpmap:107 OPUS/48000/2", "fmtp:107 useinbandfec=1; Stereo=0 ;cbr")
    (found,) = read_formats(line)
    assert found.codec is OPUS
    assert found.parameters == {"useinbandfec": "1", "stereo": "0", "cbr": ""}


@pytest.mark.parametrize("text", ["72", "128", "999", "x", "opus/48000"])
def test_formats_that_are_no_payload_type_are_left_out(text: str) -> None:
    assert read_formats(media(f"{text.split('/')[0]} 0", "rtpmap:72 PCMU/8000")) == read_formats(
        media("0")
    )


def test_events_at_the_clock_of_the_codec_are_preferred() -> None:
    line = media("0 96 97", "rtpmap:96 telephone-event/48000", "rtpmap:97 telephone-event/8000")
    assert read_events(line, PCMU) == {97: 8_000}
    assert read_events(line, OPUS) == {96: 48_000}
    other = media("0 97", "rtpmap:97 telephone-event/8000")
    assert read_events(other, OPUS) == {97: 8_000}


def test_a_malformed_rtpmap_is_an_error_of_its_line() -> None:
    with pytest.raises(SdpError, match="line 3"):
        read_formats(media("0", "rtpmap:0 PCMU"))
