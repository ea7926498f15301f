"""What a recorder hears is made on the compiled packet path, and waits there until it is served."""

import pytest

from tests.support.packets.negotiated import AUDIOS
from tests.support.packets.packet_peer import Peer
from tests.support.packets.packet_steps import START, Driver
from tests.support.packets.two_paths import PARTIES, TwoPaths

pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("passthrough", [0, PARTIES])
@pytest.mark.parametrize("telephones", [{}, {0: "PCMU"}])
def test_frames_for_a_recorder_are_made_without_python_and_taken_when_it_is_served(
    telephones, passthrough
):
    audio = [AUDIOS[telephones.get(number, "plain")] for number in range(PARTIES)]
    with TwoPaths(audio=audio, start=START, passthrough=passthrough) as paths:
        driver = Driver(paths, [Peer(number, 100, 0) for number in range(PARTIES)])
        for peer, described in zip(driver.peers, audio, strict=True):
            peer.speak(described)
        driver.route("pair with a mix recorded")
        driver.converse(4, "celt", "celt", 0.02)
        driver.flush()
        path = paths.worlds[0].sockets.path
        assert path is not None
        before = sum(path.figures().left.values())
        driver.converse(20, "celt", "celt", 0.02)
        assert sum(path.figures().left.values()) == before
        driver.flush()
