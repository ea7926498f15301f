"""Session descriptions in the form of real clients, and awkward ones."""

from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "wire" / "sdp" / "offers"

ANSWERABLE = sorted(path.stem for path in (_FOLDER / "answerable").glob("*.sdp"))
REFUSED = sorted(path.stem for path in (_FOLDER / "refused").glob("*.sdp"))


def offer(name: str) -> str:
    """Read one offer by its file name; lines end as on the wire, in CRLF."""
    kind = "answerable" if name in ANSWERABLE else "refused"
    text = (_FOLDER / kind / f"{name}.sdp").read_text(encoding="ascii")
    return text.replace("\n", "\r\n")
