import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.buffer.framer import Framer


def ramp(first: int, count: int) -> bytes:
    """Samples that are their own position, so that each can be recognised."""
    return b"".join(
        (position + 1).to_bytes(2, "little") for position in range(first, first + count)
    )


def test_a_whole_frame_passes_through():
    assert Framer().add(ramp(0, 320), 0) == [(ramp(0, 320), 0)]


def test_two_halves_make_one_frame():
    framer = Framer()
    assert framer.add(ramp(0, 160), 0) == []
    assert framer.add(ramp(160, 160), 160) == [(ramp(0, 320), 0)]


def test_a_long_piece_is_cut():
    frames = Framer().add(ramp(0, 960), 0)
    assert frames == [(ramp(start, 320), start) for start in (0, 320, 640)]


def test_a_small_hole_is_filled_with_silence():
    framer = Framer()
    framer.add(ramp(0, 80), 0)
    assert framer.add(ramp(160, 160), 160) == [(ramp(0, 80) + bytes(160) + ramp(160, 160), 0)]


def test_a_frame_that_nothing_continues_is_completed_with_silence():
    framer = Framer()
    framer.add(ramp(0, 80), 0)
    assert framer.add(ramp(3200, 320), 3200) == [
        (ramp(0, 80) + bytes(480), 0),
        (ramp(3200, 320), 3200),
    ]


def test_a_hole_between_whole_frames_shows_in_the_position():
    framer = Framer()
    framer.add(ramp(0, 320), 0)
    assert framer.add(ramp(640, 320), 640) == [(ramp(640, 320), 640)]


def test_a_reset_forgets_what_waits():
    framer = Framer()
    framer.add(ramp(0, 80), 0)
    framer.reset()
    assert framer.empty
    assert framer.add(ramp(0, 320), 0) == [(ramp(0, 320), 0)]


@pytest.mark.parametrize("size", [40, 80, 160, 640, 1920])
def test_pieces_of_one_size_come_out_unchanged(size):
    framer = Framer()
    frames = []
    for start in range(0, 9600, size):
        frames += framer.add(ramp(start, size), start)
    assert b"".join(pcm for pcm, _ in frames) == ramp(0, 9600)
    assert [pts for _, pts in frames] == list(range(0, 9600, 320))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([40, 80, 160, 320, 640, 960]),
            st.sampled_from([0] * 5 + [7, 40, 333, 5000]),
        ),
        max_size=40,
    )
)
def test_every_sample_keeps_its_position(pieces):
    framer = Framer()
    position = 0
    frames = []
    for size, hole in pieces:
        position += hole
        frames += framer.add(ramp(position % 60_000, size), position)
        position += size
    next_free = 0
    for pcm, pts in frames:
        assert len(pcm) == 640
        assert pts >= next_free
        next_free = pts + 320
        for index in range(0, 640, 2):
            value = int.from_bytes(pcm[index : index + 2], "little")
            assert value == 0 or value == (pts + index // 2) % 60_000 + 1 or value > 60_000
