"""Where the pages that are served as files lie: in the checkout, or in the wheel."""

from dataclasses import dataclass, field
from pathlib import Path

from bridge.api.server.page_files import PageFiles

_PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Pages:
    """Files and folders of pages."""

    web: Path
    """The demo page and the client library."""
    readme: Path
    guide: Path
    """The documents as a site; missing in a checkout until `make ready` has written it."""
    files: PageFiles = field(default_factory=PageFiles)
    """Reads them."""


def find_pages() -> Pages:
    """Return the pages of a wheel (`.ci/wheel_contents.py` puts them there), else the checkout's."""
    installed = _PACKAGE / "pages"
    root = installed if installed.is_dir() else _PACKAGE.parent
    guide = root / "guide" if installed.is_dir() else root / "build" / "guide"
    return Pages(web=root / "web", readme=root / "README.md", guide=guide)
