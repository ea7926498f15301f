"""Hooks of the guide: pages from outside docs/, and links to source files, which a bridge does not serve."""

import posixpath
import re
import shutil
from pathlib import Path

from properdocs.config.defaults import ProperDocsConfig
from properdocs.structure.files import File, Files
from properdocs.structure.pages import Page

PROJECT = Path(__file__).parents[1]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "deploy/push.md": "push.md",
}
"""Documents that lie outside docs/, and their names in the guide."""
LINK = re.compile(
    r"\[(?P<text>[^\]]*)\]\((?P<path>(?!https?:|#|mailto:)[^)#\s]+)(?P<anchor>#[^)]*)?\)"
)

EMPTY_HEADING = re.compile(r"<th(?P<rest>[^>]*)></th>")


def on_files(files: Files, *, config: ProperDocsConfig) -> Files:
    """Add the pages from outside docs/, with their links as seen from there."""
    for name, uri in PAGES.items():
        content = _relink((PROJECT / name).read_text(), folder=posixpath.dirname(name))
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Write links to files of the repository as their paths."""
    return markdown if page.file.src_uri in PAGES.values() else _relink(markdown, folder="docs")


def on_page_content(html: str, **_: object) -> str:
    """Make cells of empty headings; a heading must say something."""
    return EMPTY_HEADING.sub(r"<td\g<rest>></td>", html)


def on_post_build(*, config: ProperDocsConfig) -> None:
    """Keep the search index, in a folder without others; the theme has a search of its own."""
    site = Path(config.site_dir)
    (site / "search" / "search_index.json").rename(site / "search.json")
    shutil.rmtree(site / "search")
    for name in ("sitemap.xml", "sitemap.xml.gz"):
        (site / name).unlink(missing_ok=True)


def _relink(markdown: str, folder: str) -> str:
    def relinked(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match["path"]))
        anchor, text = match["anchor"] or "", match["text"]
        if path in PAGES:
            return f"[{text}]({PAGES[path]}{anchor})"
        if path.startswith("docs/"):
            return f"[{text}]({path.removeprefix('docs/')}{anchor})"
        return f"`{path}`" if text.strip("`") in path else f"{text} (`{path}`)"

    return LINK.sub(relinked, markdown)
