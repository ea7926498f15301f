from base64 import b64decode
from io import BytesIO

import av
import numpy as np

from bridge.rehearse.report_sound import data_uri, webm
from tests.rehearse.results import PASSED


def decoded(data):
    with av.open(BytesIO(data), "r") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        return np.concatenate(frames, axis=1), container.streams.audio[0].rate


def loudest(side, rate, began, ended):
    return float(np.abs(side[int(began * rate) : int(ended * rate)]).max())


def test_the_caller_is_left_and_the_bot_right():
    (left, right), rate = decoded(webm(PASSED.said, PASSED.heard))

    assert loudest(left, rate, 1.2, 1.8) > 0.15
    assert loudest(right, rate, 1.2, 1.8) < 0.02
    assert loudest(right, rate, 2.9, 3.4) > 0.15
    assert loudest(left, rate, 2.9, 3.4) < 0.02
    assert abs(len(left) / rate - 4) < 0.1


def test_a_second_takes_a_few_thousand_bytes():
    assert len(webm(PASSED.said, PASSED.heard)) < 4 * 6000


def test_a_page_gets_it_without_another_file():
    kind, _, content = data_uri(PASSED.said, PASSED.heard).partition(";base64,")

    assert kind == "data:audio/webm"
    assert b64decode(content)[:4] == bytes.fromhex("1a45dfa3")


def test_no_sound_is_nothing_to_play():
    assert data_uri(b"", b"") == ""
