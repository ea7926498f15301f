"""What a stream is, whatever its protocol."""

import pytest

from bridge.wire.stream.media_stream import Channel, StreamFacts, StreamType


def stream(kind: StreamType, channel: Channel) -> StreamFacts:
    return StreamFacts("stream", "call", kind, channel)


@pytest.mark.parametrize("channel", list(Channel))
def test_a_two_way_stream_has_the_inbound_track_whatever_was_requested(channel):
    assert stream(StreamType.TWOWAY, channel).tracks == (Channel.INBOUND,)


def test_both_channels_of_a_one_way_stream_are_two_tracks():
    assert stream(StreamType.ONEWAY, Channel.BOTH).tracks == (Channel.INBOUND, Channel.OUTBOUND)


@pytest.mark.parametrize("channel", [Channel.INBOUND, Channel.OUTBOUND])
def test_a_one_way_stream_has_the_track_that_was_requested(channel):
    assert stream(StreamType.ONEWAY, channel).tracks == (channel,)
