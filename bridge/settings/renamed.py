"""Settings that were renamed: until version 1.0 they are read under their former names too, with a warning."""

from collections.abc import Iterator
from itertools import product
from typing import Any, Final, NamedTuple

from bridge.settings.tree import KeyPath, Mistake, dotted, origin

RENAMED: Final[dict[KeyPath, KeyPath]] = {
    ("agent", "longest_seconds"): ("agent", "max_utterance_seconds"),
    ("agent", "nudge"): ("agent", "no_input_prompt"),
    ("agent", "nudges"): ("agent", "no_input_prompts"),
    ("agent", "voices"): ("agent", "voice_detectors"),
    ("events", "dead_seconds"): ("events", "dead_letter_seconds"),
    ("limits", "alone_seconds"): ("limits", "abandoned_seconds"),
    ("limits", "stranger_requests"): ("limits", "unauthenticated_requests"),
    ("media", "relay"): ("media", "passthrough"),
    ("operator", "keys"): ("console", "keys"),
    ("recording", "consent"): ("recording", "announcement"),
    ("recording", "least_free_mb"): ("recording", "min_free_mb"),
    ("recording", "relayed"): ("recording", "passthrough"),
}
"""By former name: the setting. Those of `agent` are renamed in lines too."""


class FormerName(NamedTuple):
    """A former name that was used, and what to write instead."""

    former: str
    write: str


def rename(
    tree: dict[str, Any], variables: dict[KeyPath, str], mistakes: list[Mistake]
) -> Iterator[FormerName]:
    """Move what stands under a former name to the setting, and yield both; under both names it is a mistake.

    Args:
        tree: The settings as they were written.
        variables: By path, the variable of the environment that has set what stands there.
        mistakes: Those found so far.
    """
    lines = tree["lines"] if isinstance(tree.get("lines"), dict) else {}
    roots = {(): tree} | {("lines", name): line for name, line in lines.items()}
    for (root, tables), (old, new) in product(roots.items(), RENAMED.items()):
        table = tables.get(old[0]) if isinstance(tables, dict) else None
        section = tables.setdefault(new[0], {}) if table else None
        if isinstance(table, dict) and isinstance(section, dict) and old[1] in table:
            variable = origin((*root, *old), variables)
            used = FormerName(*(_written(root, old, name, variable) for name in (old, new)))
            if new[1] in section:
                name = _written(root, new, new, origin((*root, *new), variables))
                mistakes.append(
                    Mistake(new, f"stands under its former name {used.former} too", name)
                )
            else:
                section[new[1]] = table[old[1]]
                variables |= {(*root, *new): variable} if variable else {}
            del table[old[1]]
            yield used
        if table == {}:
            del tables[old[0]]


def _written(root: KeyPath, old: KeyPath, name: KeyPath, variable: str) -> str:
    """Return a name as in the file, or as in the environment where `variable` has set what was called `old`."""
    return variable.replace("__".join(old).upper(), "__".join(name).upper()) or dotted(
        (*root, *name)
    )
