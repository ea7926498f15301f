"""A neural network with one hidden layer that classifies overlaps.

Its weights are in `overlap_weights`, which `make overlaps ARGS=--fit` trains and writes.
"""

import base64
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bridge.audio.detect import overlap_weights

CLASSES: Final = ("backchannel", "interruption", "noise")
LIMIT: Final = 3.0
"""Features are clipped at so many standard deviations."""

Vector = NDArray[np.float64]


class Network(NamedTuple):
    """A network with one hidden layer; features are normalized to mean 0 and standard deviation 1."""

    mean: Vector
    deviation: Vector
    hidden: Vector
    """A row per feature, and one of biases."""
    output: Vector
    """A row per hidden unit, and one of biases."""

    def likelihoods(self, features: Vector) -> Vector:
        """Return the likelihood of each of `CLASSES`, for one vector or for each row of a matrix."""
        even = np.clip((features - self.mean) / self.deviation, -LIMIT, LIMIT)
        units = np.tanh(even @ self.hidden[:-1] + self.hidden[-1])
        found = units @ self.output[:-1] + self.output[-1]
        powers = np.exp(found - found.max(axis=-1, keepdims=True))
        likelihoods: Vector = powers / powers.sum(axis=-1, keepdims=True)
        return likelihoods

    def encode(self) -> str:
        """Return the weights as text: half-precision floats in base 85."""
        parts = [self.mean, self.deviation, self.hidden.ravel(), self.output.ravel()]
        return base64.b85encode(np.concatenate(parts).astype("<f2").tobytes()).decode()

    @classmethod
    def decode(cls, text: str, features: int) -> Self:
        """Return the network that `encode` has written."""
        weights = np.frombuffer(base64.b85decode(text), "<f2").astype(np.float64)
        rest = len(weights) - 2 * features - len(CLASSES)
        units = rest // (features + 1 + len(CLASSES))
        ends = np.cumsum([features, features, (features + 1) * units])
        mean, deviation, hidden, output = np.split(weights, ends)
        return cls(mean, deviation, hidden.reshape(-1, units), output.reshape(-1, len(CLASSES)))


THRESHOLD: Final = overlap_weights.THRESHOLD
"""Likelihood from which an overlap is an interruption."""
NETWORK: Final = Network.decode(overlap_weights.WEIGHTS, overlap_weights.FEATURES)
