"""What becomes of single packets of a peer: lost, repeated, overtaken, after a pause, or with other numbers."""

from hypothesis import strategies as st

from tests.support.packets.rtp_party import EVENT_TYPE

SEQUENCES = [
    0,
    1,
    2,
    63,
    64,
    99,
    100,
    101,
    2997,
    2998,
    2999,
    3000,
    3001,
    -1,
    -2,
    -63,
    -64,
    -65,
    -99,
    -100,
    -101,
    1 << 15,
]
TIMESTAMPS = [
    0, 1, -1, 7, -961, -1920, 48_000, 96_000, 96_960, 97_921, 100_000, -100_000,
    1 << 30, -1 << 30, (1 << 31) - 1, (1 << 31) - 961, (1 << 31) - 960, 1 << 31, (1 << 31) + 960, (1 << 31) + 4000,
]  # fmt: skip
"""How far the numbers of a packet are from those that would be next: all that a limit lies between."""

DIGIT = bytes([5, 0x0A, 0x03, 0xC0])

fates = st.one_of(
    st.sampled_from(["arrives"] * 8 + ["is lost", "is lost", "is lost", "arrives twice", "is a digit"]),
    st.tuples(st.just("is late"), st.sampled_from([1, 1, 1, 2, 3, 5, 30])),
    st.tuples(st.just("after a pause"), st.sampled_from([960, 960, 480, 7, 19_200, 97_000, -960]),
              st.sampled_from([0.0, 0.02, 0.4, 1.5])),
    st.tuples(st.just("has other numbers"), st.sampled_from(SEQUENCES), st.sampled_from(TIMESTAMPS)),
)  # fmt: skip
"""Of one packet: by how many others it is overtaken; by how much its timestamp jumps, and how much later it comes;
by how much only its own numbers are off."""


def speak_with_fates(driver, number, taken, voice, interval):
    """Let a peer send a packet for each of the fates; those that are still overtaken at the end come then."""
    peer, late = driver.peers[number], []
    for place, fate in enumerate(taken):
        what, *how = (fate,) if isinstance(fate, str) else fate
        if what == "after a pause":
            peer.timestamp += how[0]
            driver.paths.now += how[1]
        if what == "is a digit":
            driver.send(number, peer.packet(DIGIT, kind=EVENT_TYPE))
            peer.sequence += 1
            continue
        payload = peer.next_payload(voice)
        own = what == "has other numbers"
        sequence, timestamp = how if own else (0, 0)
        packet = peer.packet(
            payload, sequence=peer.sequence + sequence, timestamp=peer.timestamp + timestamp
        )
        if not own:
            peer.advance(payload)
        if what == "is late":
            late.append((place + how[0], packet))
        elif what != "is lost":
            driver.send(number, packet)
        if what == "arrives twice":
            driver.repeat(number, 1)
        for overtaken in [one for one in late if one[0] <= place or place == len(taken) - 1]:
            late.remove(overtaken)
            driver.send(number, overtaken[1])
        driver.paths.now += interval


def speak_while_stopped(driver, number, taken, voice):
    """Let a peer send likewise within a moment, while Python stands still.

    The next packet of a stream goes on even then, before Python has seen a later one that it must decide on. So none
    is late where there are digits, and none may begin another media epoch.
    """
    late = range(0 if "is a digit" in taken else 100)
    fits = {"after a pause": range(48_000), "is late": late}
    chosen = [fate for fate in taken if isinstance(fate, str) or fate[1] in fits.get(fate[0], ())]
    at_once = [(*fate[:2], 0.0) if fate[0] == "after a pause" else fate for fate in chosen]
    with driver.paths.stopped():
        speak_with_fates(driver, number, at_once, voice, 0.0)
