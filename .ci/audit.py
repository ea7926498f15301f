"""Look for known vulnerabilities in what the lock files name, and say what could not be looked at.

Asks OSV (https://google.github.io/osv.dev/post-v1-querybatch/), or reads its dumps, which need no
network: the `all.zip` of PyPI and of npm (https://google.github.io/osv.dev/data/).

Exits with 0 when everything was checked and nothing found, 1 when something was found, and 2 when
something could not be checked: what was not looked at is never called good.
"""

import argparse
import http.client
import json
import re
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PROJECT = Path(__file__).parents[1]
PYTHON_LOCKS = "locks/*.lock"
NPM_LOCK = "package-lock.json"
API = "https://api.osv.dev/v1/querybatch"
SECONDS = 30.0
FOUND, UNCHECKED = 1, 2
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


class Package(NamedTuple):
    """One version of one package."""

    ecosystem: str
    name: str
    version: str


class Unreachable(Exception):
    """The service cannot be asked, or answers nonsense."""


def packages(folder: Path) -> list[Package]:
    """Return what the lock files of a folder name."""
    found = set()
    for lock in folder.glob(PYTHON_LOCKS):
        for name, version in _PIN.findall(lock.read_text()):
            found.add(Package("PyPI", canonicalize_name(name), version))
    for lock in (folder / NPM_LOCK, *folder.glob(f"*/*/{NPM_LOCK}")):
        for path, entry in json.loads(lock.read_text())["packages"].items():
            if path:
                found.add(Package("npm", path.rpartition("node_modules/")[2], entry["version"]))
    return sorted(found)


def ask(wanted: list[Package], api: str) -> dict[Package, list[str]]:
    """Ask the service; returns the ids of the vulnerabilities of each package that has some.

    Raises:
        Unreachable: there is no answer, or one that cannot be read.
    """
    queries = [
        {"package": {"ecosystem": one.ecosystem, "name": one.name}, "version": one.version}
        for one in wanted
    ]
    body = json.dumps({"queries": queries}).encode()
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(api, body, headers)  # noqa: S310 - named by who runs it
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - likewise
            results = json.load(response)["results"]
        told = [[vuln["id"] for vuln in result.get("vulns", [])] for result in results]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"{api}: {error}") from error
    if len(told) != len(wanted):
        raise Unreachable(f"{api}: {len(told)} answers to {len(wanted)} questions")
    return {one: ids for one, ids in zip(wanted, told, strict=True) if ids}


def look_up(
    wanted: list[Package], dumps: Iterable[Path]
) -> tuple[dict[Package, list[str]], set[str]]:
    """Look into dumps; returns what `ask` does, and the ecosystems that the dumps are about."""
    by_name: dict[tuple[str, str], list[Package]] = {}
    for one in wanted:
        by_name.setdefault((one.ecosystem, one.name), []).append(one)
    found: dict[Package, list[str]] = {}
    covered = set()
    for advisory in _advisories(dumps):
        for affected in advisory.get("affected", []):
            package = affected.get("package", {})
            ecosystem, name = package.get("ecosystem", ""), package.get("name", "")
            covered.add(ecosystem)
            name = canonicalize_name(name) if ecosystem == "PyPI" else name
            for one in by_name.get((ecosystem, name), []):
                if "withdrawn" not in advisory and is_affected(one.version, affected):
                    found.setdefault(one, []).append(advisory["id"])
    return found, covered


def is_affected(version: str, affected: dict[str, Any]) -> bool:
    """Say whether an advisory is about a version: it lists it, or has it within a range.

    https://ossf.github.io/osv-schema/#affected-fields
    """
    if version in affected.get("versions", []):
        return True
    ranges = affected.get("ranges", [])
    return any(_within(version, one.get("events", [])) for one in ranges if one["type"] != "GIT")


def _within(version: str, events: list[dict[str, str]]) -> bool:
    try:
        ours, inside = Version(version), False
        for event in events:
            if "introduced" in event and (at := event["introduced"]):
                inside = inside or at == "0" or ours >= Version(at)
            if "fixed" in event and ours >= Version(event["fixed"]):
                inside = False
            if "last_affected" in event and ours > Version(event["last_affected"]):
                inside = False
    except InvalidVersion:
        return True  # rather one too many to look at than one too few
    return inside


def _advisories(dumps: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for dump in dumps:
        with zipfile.ZipFile(dump) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield json.loads(archive.read(name))


def main(arguments: list[str] | None = None) -> int:
    """Check what the lock files name; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "dumps", nargs="*", type=Path, help="all.zip of PyPI, of npm; else OSV is asked"
    )
    parser.add_argument("--api", default=API, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    wanted = packages(PROJECT)
    unchecked: list[Package] = []
    found: dict[Package, list[str]] = {}
    if chosen.dumps:
        found, covered = look_up(wanted, chosen.dumps)
        unchecked = [one for one in wanted if one.ecosystem not in covered]
    else:
        try:
            found = ask(wanted, chosen.api)
        except Unreachable as error:
            sys.stderr.write(f"audit: cannot ask: {error}\n")
            unchecked = wanted
    for one, ids in sorted(found.items()):
        sys.stdout.write(f"{one.name} {one.version} ({one.ecosystem}): {', '.join(sorted(ids))}\n")
    checked = len(wanted) - len(unchecked)
    sys.stdout.write(
        f"audit: {checked} of {len(wanted)} packages checked, {len(found)} vulnerable\n"
    )
    if unchecked:
        kinds = ", ".join(sorted({one.ecosystem for one in unchecked}))
        sys.stderr.write(
            f"audit: {len(unchecked)} packages ({kinds}) were NOT CHECKED. Without a network give the "
            'dumps of OSV: make audit ARGS="PyPI.zip npm.zip"\n'
        )
    if found:
        return FOUND
    return UNCHECKED if unchecked else 0


if __name__ == "__main__":
    sys.exit(main())
