"""Writes the documents that are generated from the code: `python -m tests.docs.write`."""

from collections.abc import Callable
from pathlib import Path

from bridge.api.openapi import document
from bridge.api.routes import ROUTES
from tests.docs import (
    compatibility,
    http_api_page,
    metrics_page,
    settings_page,
    troubleshooting_page,
)

PROJECT = Path(__file__).parents[2]

GENERATED: dict[str, Callable[[], str]] = {
    "docs/compatibility.md": compatibility.page,
    "docs/http-api.md": lambda: http_api_page.page(document(), ROUTES),
    "docs/metrics.md": metrics_page.page,
    "docs/settings.md": settings_page.page,
    "docs/troubleshooting.md": troubleshooting_page.page,
    "deploy/bridge.example.toml": settings_page.example,
}
"""By path: what returns the file's text."""


def main() -> None:
    """Write every generated document."""
    for path, text in GENERATED.items():
        (PROJECT / path).write_text(text())


if __name__ == "__main__":
    main()
