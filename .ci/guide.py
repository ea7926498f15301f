"""Writes the guide: docs/ as a site, which the bridge serves at /docs/guide/.

    python .ci/guide.py [--strict] FOLDER

Links that lead nowhere and documents without a place in `PAGES` are named; with --strict they make it fail.
"""

import argparse
import html
import json
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from markdown import Markdown

PROJECT = Path(__file__).parents[1]
THEME = PROJECT / "web" / "guide"
PAGES = {
    "": {"Start": "index"},
    "Learn": {"Tutorial": "tutorial", "Concepts": "concepts", "Glossary": "glossary"},
    "Connect": {
        "HTTP API": "http-api",
        "Sockets and streams": "sockets-and-streams",
        "Webhooks and events": "webhooks-and-events",
        "Mobile apps": "mobile",
        "Ring a sleeping phone": "push",
        "Hold, transfer, conference": "call-control",
        "Recording and consent": "recording-and-consent",
        "Voicemail": "voicemail",
        "Agents": "agents",
        "Rehearse a bot": "rehearse",
        "Disclosure": "disclosure",
        "Machine detection": "machine-detection",
        "Transcripts": "transcripts",
        "Vendor APIs": "vendor-apis",
        "Compatibility": "compatibility",
    },
    "Operate": {
        "WhatsApp": "whatsapp",
        "Telephone": "sip",
        "Settings": "settings",
        "Operations": "operations",
        "Sizing": "operations-sizing",
        "Several machines": "operations-machines",
        "Kubernetes": "operations-kubernetes",
        "Start, stop, upgrade": "operations-upgrades",
        "Backup and restore": "operations-backup",
        "Monitoring": "operations-monitoring",
        "Traces": "tracing",
        "Metrics": "metrics",
        "Troubleshooting": "troubleshooting",
        "Security": "security",
    },
    "Understand": {
        "Architecture": "architecture",
        "Performance": "performance",
        "Compared with others": "compare",
        "Encoder levels": "encoder-levels",
        "Response latency": "turns",
        "Voice activity": "voice-activity",
        "Interruptions": "interruptions",
        "Contributing": "contributing",
        "Security policy": "security-policy",
        "Changelog": "changelog",
    },
}
"""Pages in the order of the list beside them: by section, title and name."""
ELSEWHERE = {
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "security-policy": "SECURITY.md",
    "push": "deploy/push.md",
}
"""Documents that lie outside docs/, by their names in the guide."""
LINK = re.compile(
    r"\[(?P<text>[^\]]*)\]\((?P<path>(?!https?:|#|mailto:)[^)#\s]+)(?P<anchor>#[^)]*)?\)"
)
EMPTY_HEADING = re.compile(r"<th(?P<rest>[^>]*)></th>")
HEADING = re.compile(r'<h[1-6] id="(?P<anchor>[^"]+)">(?P<title>.*?)</h[1-6]>', re.DOTALL)
PICTURE = re.compile(r'src(?:set)?="([^"]+)"')
HREF = re.compile(r'href="(?![a-z]+:)(?P<page>[^"#]*)(?:#(?P<anchor>[^"]+))?"')
TAG = re.compile(r"<[^>]+>")


@dataclass
class Page:
    """One document."""

    name: str
    title: str
    content: str
    """As HTML."""
    headings: Sequence[dict[str, Any]]
    """Of the second level: `id` and `name`, a text in HTML."""
    anchors: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.anchors = set(re.findall(r' id="([^"]+)"', self.content))


def main() -> int:
    """Write the guide; 1 if a strict reader finds faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    pages = [_render(name, title) for section in PAGES.values() for title, name in section.items()]
    write(pages, options.folder)
    faults = [*_unlisted(), *_dead_links(pages)]
    for fault in faults:
        print(f"guide: {fault}", file=sys.stderr)  # noqa: T201
    return 1 if options.strict and faults else 0


def write(pages: Sequence[Page], folder: Path) -> None:
    """Write pages, the index for the search, pictures and the theme; the first page last."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*THEME.iterdir(), *(PROJECT / "docs").glob("*.webp")):
        if file.name != "main.html":
            shutil.copyfile(file, folder / file.name)
    entries = [entry for page in pages for entry in _entries(page)]
    (folder / "search.json").write_text(json.dumps(entries, ensure_ascii=False))
    frame = Template((THEME / "main.html").read_text())
    for number, page in reversed(list(enumerate(pages))):
        before = _link(pages[number - 1], "← {}") if number else ""
        after = _link(pages[number + 1], "{} →") if page is not pages[-1] else ""
        headings = [f'<li><a href="#{one["id"]}">{one["name"]}</a></li>' for one in page.headings]
        text = frame.substitute(
            title=f"{html.escape(page.title)} · " if number else "",
            pages=_list(page),
            content=page.content,
            before=before,
            after=after,
            headings="".join(headings),
        )
        (folder / f"{page.name}.html").write_text(text)


def _link(page: Page, form: str) -> str:
    return f'<a href="{page.name}.html">{form.format(html.escape(page.title))}</a>'


def _render(name: str, title: str) -> Page:
    path = ELSEWHERE.get(name, f"docs/{name}.md")
    parser = Markdown(extensions=["toc", "tables", "fenced_code"], output_format="html")
    text = _relink((PROJECT / path).read_text(), folder=posixpath.dirname(path))
    content = EMPTY_HEADING.sub(r"<td\g<rest>></td>", parser.convert(text))
    tops: list[dict[str, Any]] = parser.toc_tokens
    return Page(name, title, content, [one for top in tops for one in top["children"]])


def _relink(markdown: str, folder: str) -> str:
    """Let links lead to pages; write those to files of the repository, which a bridge does not serve, as paths."""
    pages = {path: name for name, path in ELSEWHERE.items()}

    def relinked(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match["path"]))
        anchor, text = match["anchor"] or "", match["text"]
        if path in pages:
            return f"[{text}]({pages[path]}.html{anchor})"
        if path.startswith("docs/") and path.endswith(".md"):
            return f"[{text}]({Path(path).stem}.html{anchor})"
        return f"`{path}`" if text.strip("`") in path else f"{text} (`{path}`)"

    return LINK.sub(relinked, markdown)


def _list(current: Page) -> str:
    """Make the list of all pages."""
    lines = []
    for section, pages in PAGES.items():
        links = "".join(
            f'<li><a href="{name}.html"{" aria-current=page" if name == current.name else ""}>'
            f"{html.escape(title)}</a></li>"
            for title, name in pages.items()
        )
        lines.append(f"{section and f'<h2>{section}</h2>'}<ul>{links}</ul>")
    return "\n".join(lines)


def _entries(page: Page) -> Iterator[dict[str, str]]:
    """Give what the search finds: each heading with what stands below it."""
    headings = list(HEADING.finditer(page.content))
    ends = [heading.start() for heading in headings[1:]] + [len(page.content)]
    for heading, end in zip(headings, ends, strict=True):
        yield {
            "location": f"{page.name}.html#{heading['anchor']}",
            "title": _text(heading["title"]),
            "text": _text(page.content[heading.end() : end]),
        }


def _text(content: str) -> str:
    return " ".join(html.unescape(TAG.sub(" ", content)).split())


def _unlisted() -> list[str]:
    listed = {name for section in PAGES.values() for name in section.values()}
    names = {path.stem for path in (PROJECT / "docs").glob("*.md")}
    return [f"docs/{name}.md is in no section of .ci/guide.py" for name in sorted(names - listed)]


def _dead_links(pages: Sequence[Page]) -> Iterator[str]:
    anchors = {f"{page.name}.html": page.anchors for page in pages}
    for page in pages:
        for link in HREF.finditer(page.content):
            known = anchors.get(link["page"] or f"{page.name}.html")
            if known is None or (link["anchor"] and link["anchor"] not in known):
                yield f"{page.name}: no {link[0]}"
        for name in PICTURE.findall(page.content):
            if not (PROJECT / "docs" / name).is_file():
                yield f"{page.name}: no picture {name}"


if __name__ == "__main__":
    sys.exit(main())
