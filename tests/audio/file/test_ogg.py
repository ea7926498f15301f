"""Ogg files of Opus: what is written is read back by another reader, and what is cut off is found."""

from io import BytesIO

import av
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.file.ogg import MAX_SEGMENTS, PRE_SKIP, OggWriter, as_last, checksum, last_page
from tests.support.packets import ogg_packets
from tests.support.packets.ogg_packets import packets_of, pages_of

PACKETS = st.lists(
    st.tuples(st.binary(max_size=1275), st.sampled_from((120, 480, 960, 5760))), max_size=300
)
SILENCE = (b"\xf8\xff\xfe", 960)


@given(st.binary(max_size=2000))
def test_the_checksum_is_that_of_the_standard(data):
    assert checksum(data) == ogg_packets.checksum(data)


@given(PACKETS, st.lists(st.integers(0, 300), max_size=4))
def test_every_packet_is_whole_on_a_page_and_counts_in_its_granule_position(packets, cuts):
    writer = OggWriter(0xFFFF_FFFF)
    content, start = writer.head(), 0
    for cut in [*sorted(cuts), len(packets)]:
        content += writer.pages(packets[start:cut])
        start = max(start, cut)
    pages = pages_of(content)
    assert packets_of(content) == [payload for payload, _ in packets]
    assert [page.sequence for page in pages] == list(range(len(pages)))
    assert {page.serial for page in pages} == {0xFFFF_FFFF}
    granule, remaining = 0, list(packets)
    for page in pages[2:]:
        granule += sum(samples for _, samples in remaining[: len(page.packets)])
        del remaining[: len(page.packets)]
        assert page.granule == granule
        assert sum(len(packet) // 255 + 1 for packet in page.packets) <= MAX_SEGMENTS


def test_the_first_two_pages_say_what_the_stream_is():
    first, second = pages_of(OggWriter(7).head())
    assert (first.kind, first.granule, second.kind, second.granule) == (2, 0, 0, 0)
    assert first.packets == [b"OpusHead\x01\x01\x38\x01\x80\x3e\x00\x00\x00\x00\x00"]
    assert second.packets == [b"OpusTags\x0c\x00\x00\x00media-bridge\x00\x00\x00\x00"]


def test_players_play_up_to_the_end_and_no_further():
    writer = OggWriter(7)
    content = writer.head() + writer.pages([SILENCE] * 50)
    content += writer.pages([SILENCE] * 51, end=100 * 960 + PRE_SKIP)
    assert pages_of(content)[-1].kind == 4
    with av.open(BytesIO(content), "r") as opened:
        assert sum(frame.samples for frame in opened.decode(audio=0)) == 100 * 960


@given(PACKETS.filter(bool), st.binary(max_size=300), st.integers(0, 26))
def test_the_last_complete_page_of_a_cut_off_file_is_found(packets, more, kept):
    writer = OggWriter(1)
    whole = writer.head() + writer.pages(packets)
    rest = writer.pages([(more, 960)])[:kept]
    found = last_page(whole + rest)
    assert found is not None
    assert (found.end, found.granule) == (len(whole), sum(samples for _, samples in packets))


@given(st.binary(max_size=500))
def test_what_is_no_ogg_has_no_last_page(data):
    assert last_page(data) is None
    assert last_page(b"OggS" + data[:20]) is None


def test_a_damaged_page_is_not_taken_for_the_last_one():
    writer = OggWriter(1)
    whole = writer.head() + writer.pages([SILENCE] * 3)
    damaged = bytearray(writer.pages([SILENCE]))
    damaged[-1] ^= 1
    found = last_page(whole + damaged)
    assert found is not None
    assert found.end == len(whole)


def test_a_page_can_be_marked_as_the_last_one_later():
    writer = OggWriter(1)
    page = writer.pages([SILENCE])
    [marked] = pages_of(as_last(page))
    assert (marked.kind, marked.packets) == (4, [SILENCE[0]])
