"""The network that weighs the features of an overlap."""

import numpy as np
import pytest

from bridge.audio.detect.overlap_model import CLASSES, NETWORK, THRESHOLD, Network
from bridge.audio.detect.overlap_weights import FEATURES, WEIGHTS


def test_likelihoods_are_those_of_the_classes():
    found = NETWORK.likelihoods(np.zeros(FEATURES))
    assert found.shape == (len(CLASSES),)
    assert found.sum() == pytest.approx(1.0)
    assert 0.0 < THRESHOLD < 1.0


def test_a_feature_far_out_counts_no_more_than_one_at_the_limit():
    far, limit = (NETWORK.mean + NETWORK.deviation * times for times in (50.0, 3.0))
    assert NETWORK.likelihoods(far) == pytest.approx(NETWORK.likelihoods(limit))


def test_weights_are_the_same_as_text():
    assert Network.decode(WEIGHTS, FEATURES).encode() == WEIGHTS
