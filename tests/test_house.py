"""Tests of the house itself: what lies where, how large it is, and what must not be in it."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from bridge.api.routes import ROUTES
from bridge.call.diagnosis.problems import Code
from bridge.metrics.registry import Metrics

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
PURE = ("audio", "wire", "rtp", "call", "sip")
LONGEST = 400
LONGEST_EXAMPLE = 80
MAX_README_LINES = 150

MAX_FILES = 25
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base_classes", "stuff"}

DROPPED_WORDS = {
    "casting", "disown", "effort", "farewell", "forerunner", "goodbye", "hush", "manners", "mouth", "patience", "rung",
    "seat", "stillborn", "stranger", "strangers", "tally", "tape", "undecoded",
}  # fmt: skip
"""Private words that the field's own have replaced, none of which means anything else."""


def modules(folder):
    return sorted((PROJECT / folder).rglob("*.py"))


def name(path):
    return path.relative_to(PROJECT).as_posix()


def tracked():
    """Every file of the project that git knows, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [PROJECT / path for path in listed.stdout.split("\0") if path]
    return [path for path in paths if path.is_file()]


# Shape


def folders(top):
    return sorted({module.parent for module in modules(top)})


def folder_of_tests(folder):
    return PROJECT / "tests" / folder.relative_to(PROJECT / "bridge")


def named_after(test, module):
    return f"{test.stem}_".startswith(f"test_{module.stem}_")


def imported(path):
    """Return the dotted names of modules, and of what is in them, that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def dotted(module):
    return name(module).removesuffix(".py").replace("/", ".")


def test_every_folder_has_its_folder_of_tests():
    assert [name(each) for each in folders("bridge") if not folder_of_tests(each).is_dir()] == []


def test_a_test_file_in_a_folder_of_the_bridges_is_named_after_a_module_there():
    """What tests no single module lies in a folder that is the tests' own."""
    astray = [
        name(test)
        for folder in folders("bridge")
        if folder != PROJECT / "bridge"
        for test in folder_of_tests(folder).glob("test_*.py")
        if not any(named_after(test, module) for module in folder.glob("*.py"))
    ]
    assert astray == []


def test_every_module_has_a_test_file_or_is_imported_by_a_test_or_by_a_module_beside_that_is():
    in_tests = set().union(*(imported(test) for test in modules("tests")))
    untested = []
    for folder in folders("bridge"):
        tests = list(folder_of_tests(folder).glob("test_*.py"))
        own = [module for module in folder.glob("*.py") if module.name != "__init__.py"]
        tested = {
            module
            for module in own
            if dotted(module) in in_tests or any(named_after(test, module) for test in tests)
        }
        beside = set().union(*(imported(module) for module in tested))
        untested += [name(one) for one in own if one not in tested and dotted(one) not in beside]
    assert untested == []


@pytest.mark.parametrize("top", ["bridge", "tests"])
def test_no_folder_holds_too_many_files_side_by_side(top):
    sizes = {name(folder): len(list(folder.glob("*.py"))) for folder in folders(top)}
    assert {folder: files for folder, files in sizes.items() if files > MAX_FILES} == {}


def test_every_test_of_a_face_that_runs_a_bridge_asks_the_wrong_one_of_two_nodes_too():
    alone = [
        name(module)
        for module in modules("tests/api/faces")
        if re.search(r"\brunning\(|\(client\b", text := module.read_text())
        and 'usefixtures("nodes")' not in text
    ]
    assert alone == []


def test_a_package_holds_words_about_itself_and_nothing_else():
    for module in modules("bridge"):
        if module.name == "__init__.py":
            body = ast.parse(module.read_text()).body
            extra = [node for node in body[1:] if not isinstance(node, ast.Assign)]
            assert ast.get_docstring(ast.parse(module.read_text())), name(module)
            assert extra == [], name(module)


@pytest.mark.parametrize("folder", ["bridge", "tests"])
def test_no_module_is_too_long_to_be_read(folder):
    lengths = {name(module): len(module.read_text().splitlines()) for module in modules(folder)}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_every_example_is_read_in_a_minute():
    lengths = {name(module): len(module.read_text().splitlines()) for module in modules("examples")}
    assert {path: lines for path, lines in lengths.items() if lines >= LONGEST_EXAMPLE} == {}


def test_file_names_say_what_is_inside():
    assert [name(path) for path in tracked() if path.stem in VAGUE_NAMES] == []


def test_no_dropped_word_comes_back_in_the_name_of_a_module_or_a_class():
    names = [(module, part) for module in modules("bridge") for part in module.parts[-2:]]
    names += [
        (module, node.name)
        for module in modules("bridge")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    back = [
        f"{name(module)}: {each}"
        for module, each in names
        if DROPPED_WORDS & {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", each)}
    ]
    assert back == []


@pytest.mark.parametrize("package", PURE)
def test_nothing_waits_in_a_pure_package(package):
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    waiting = [
        f"{name(module)}:{node.lineno}"
        for module in modules(f"bridge/{package}")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, waits)
    ]
    assert waiting == []


def test_no_module_keeps_state():
    containers = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    found = []
    for module in modules("bridge"):
        tree = ast.parse(module.read_text())
        found += [
            f"{name(module)}:{node.lineno}"
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(node.value, containers)
            and not is_constant(node)
        ]
        found += [
            f"{name(module)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Global)
        ]
    assert found == []


def is_constant(node):
    """Whether a container that a module holds is named like a constant, and is not empty."""
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    named = isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z0-9_]+|__all__", target.id)
    return bool(named) and ast.unparse(node.value) not in {"[]", "{}"}


def test_every_way_to_count_is_used():
    used = {
        node.attr
        for module in modules("bridge")
        if module.parent.name != "metrics"
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute)
    }
    parts = [part for name, part in vars(Metrics(version="0")).items() if not name.startswith("_")]
    public = {name for part in parts for name in dir(part) if not name.startswith("_")}
    assert sorted(public - used) == []


# What must not be in it

HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
    )
]
PLACES = [f"/{folder}/" for folder in ("work", "root", "home/user")]
"""Written in parts, so that this file does not hold them."""


@pytest.mark.parametrize("text", [*HOSTS, *PLACES])
def test_no_file_names_a_package_registry_or_the_machine_it_was_written_on(text):
    needle = re.compile(rb"(?<![\w.])" + re.escape(text.encode()))
    assert [name(path) for path in tracked() if needle.search(path.read_bytes())] == []


def test_no_file_is_large():
    large = {name(path): path.stat().st_size for path in tracked()}
    assert {path: size for path, size in large.items() if size > 1_000_000} == {}


# What the documents say


def test_the_readme_is_short_enough_to_be_read():
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


def test_the_api_page_has_every_operation():
    text = (PROJECT / "docs" / "http-api.md").read_text()
    wanted = {f"### {route.method} {route.path}\n" for route in ROUTES}
    assert sorted(line for line in wanted if line not in text) == []


def test_the_documents_and_the_makefile_name_the_same_targets():
    targets = set(re.findall(r"^([a-z-]+):.*##", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    pages = [README, PROJECT / "CONTRIBUTING.md", *PROJECT.glob("docs/*.md")]
    named = {name for page in pages for name in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert named <= targets
    assert {"run", "run-lan", "test", "bench", "check", "docs", "package"} <= named


def test_the_documents_name_metrics_that_there_are():
    known = set(re.findall(r"`(bridge_\w+)`", (PROJECT / "docs" / "metrics.md").read_text()))
    named = {
        name
        for page in [README, *PROJECT.glob("docs/*.md")]
        for name in re.findall(r"\b(bridge_[a-z_]+)", page.read_text())
        if name not in set(Code)
    }
    assert sorted(named - known) == []
