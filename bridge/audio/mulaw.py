"""µ-law: 16-bit samples in 8 bits each (ITU-T G.711)."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BIAS: Final = 132
_CLIP: Final = 32635


def decode(codes: bytes) -> bytes:
    """Decode µ-law codes to 16-bit samples."""
    samples: bytes = _VALUES[np.frombuffer(codes, np.uint8)].tobytes()
    return samples


def encode(pcm: bytes) -> bytes:
    """Encode 16-bit samples as µ-law codes."""
    codes: bytes = _CODES[np.frombuffer(pcm, "<u2")].tobytes()
    return codes


def _values() -> NDArray[np.int16]:
    """Return the sample of each of the 256 codes (G.711 table 2a, scaled to 16 bits)."""
    codes = ~np.arange(256, dtype=np.uint8)
    magnitudes = (((codes & 0x0F).astype(np.int32) << 3) + _BIAS) << ((codes & 0x70) >> 4)
    values = (magnitudes - _BIAS) * np.where(codes & 0x80, -1, 1)
    return _read_only(values.astype("<i2"))


def _codes() -> NDArray[np.uint8]:
    """Return the code of each of the 65 536 samples, indexed by the sample's bits."""
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitudes = np.minimum(np.abs(samples), _CLIP) + _BIAS
    exponents = np.floor(np.log2(magnitudes)).astype(np.int32) - 7
    mantissas = (magnitudes >> (exponents + 3)) & 0x0F
    signs = np.where(samples < 0, 0x80, 0)
    return _read_only((~(signs | exponents << 4 | mantissas) & 0xFF).astype(np.uint8))


def _read_only(table: NDArray[Any]) -> NDArray[Any]:
    table.flags.writeable = False
    return table


_VALUES: Final = _values()
_CODES: Final = _codes()
