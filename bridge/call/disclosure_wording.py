"""What a disclosure says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """An asset or a text, and its language."""

    asset: str = ""
    """Or a file; empty for a text."""
    text_hash: str = ""
    """SHA-256 of the text, in hex; empty for an asset."""
    language: str = ""
    """A language tag."""
