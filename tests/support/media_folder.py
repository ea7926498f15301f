"""A media folder in which nothing was recorded."""

from pathlib import Path

from bridge.call.model import LineName
from bridge.media.folder import MediaFolder


def shared(
    root: Path,
    recorded: dict[Path, LineName] | None = None,
    *,
    only_line: LineName | None = None,
) -> MediaFolder:
    """A media folder; `recorded` says which files of the shared part were recorded for whom."""

    async def owner(path: Path) -> LineName | None:
        return (recorded or {}).get(path)

    return MediaFolder(root, owner=owner, only_line=only_line)
