"""What axe-core finds on a page, in light and dark, on a telephone and on a desk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.async_api import Page

AXE: Final = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not installed (make check-web)"
)

Look = tuple[Literal["light", "dark"], int]
"""A colour scheme and the width of the window."""
LOOKS: Final[Sequence[Look]] = (("light", 360), ("dark", 360), ("dark", 1200), ("light", 1200))
HEIGHT: Final = 740
_NEXT_FRAME: Final = """() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
})"""
_VIOLATIONS: Final = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .map(({ id, nodes }) => [id, ...nodes.map(({ target }) => String(target))])"""


async def violations(page: Page, looks: Sequence[Look] = LOOKS) -> list[list[str]]:
    """Return what axe-core finds on a page: for each rule the look, its name and where it is broken."""
    await page.evaluate(AXE.read_text())
    found: list[list[str]] = []
    for scheme, width in looks:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        await page.evaluate(_NEXT_FRAME)
        found += [[f"{scheme} {width}", *one] for one in await page.evaluate(_VIOLATIONS)]
    return found
