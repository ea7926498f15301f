"""WAV files as Python's own library writes them."""

import io
import wave


def wav_file(pcm: bytes, *, rate: int = 16_000, channels: int = 1) -> bytes:
    """Return a whole file of 16-bit samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(pcm)
    return file.getvalue()
