"""Formats of audio files, by the suffixes of their names."""

from typing import Final, Literal, TypeAlias

FileFormat: TypeAlias = Literal["wav", "ogg", "mp4", "webm"]

WAV: Final = "wav"
OGG: Final = "ogg"
MP4: Final = "mp4"
WEBM: Final = "webm"
RECORDED: Final = (WAV, OGG)
"""In which tracks are written (`track_file`); the others are made of these."""
CONTENT_TYPES: Final = {
    WAV: "audio/wav",
    OGG: "audio/ogg",
    MP4: "audio/mp4",
    WEBM: "audio/webm",
}
