"""Tests of the house itself: what lies where, how large it is, and what must not be in it."""

import ast
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from msgspec.inspect import StructType, type_info

from bridge.api.routes import ROUTES
from bridge.call.diagnosis.problems import Code
from bridge.metrics.registry import Metrics
from bridge.settings.model import Settings
from bridge.settings.tree import names as setting_names

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
PURE = ("audio", "wire", "rtp", "call", "sip")
LONGEST = 400
LONGEST_EXAMPLE = 80
MAX_PARAMETERS = 7
MAX_README_LINES = 150

MAX_FILES = 25
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base_classes", "stuff"}

IMPORT = re.compile(r"^[ \t]*((?:from|import) (?:[^\n(]*\([^)]*\)|[^\n(]*))", re.MULTILINE)
LEVELS = {"debug", "info", "warning", "error", "exception", "log"}
CALLED = re.compile(rf"\.({'|'.join(LEVELS)})\(")

DROPPED_WORDS = {
    "admittance", "casting", "disown", "effort", "farewell", "forerunner", "goodbye", "hush", "judge", "keeper", "leasable",
    "lend", "manners", "mouth", "nudge", "nudges", "pulse", "pulses", "settle", "settled",
    "patience", "rung", "seat", "stillborn", "stranger", "strangers", "tally", "tape", "undecoded",
}  # fmt: skip
"""Private words that the field's own have replaced, none of which means anything else."""
DROPPED_PUBLIC_WORDS = DROPPED_WORDS | {
    "alone", "complains", "consent", "engine", "least", "longest", "operator", "refuses", "relay",
    "relayed", "reaper", "undeleted", "unread", "unreadable", "untold", "unwritable",
}  # fmt: skip
"""Words that mean something else in the code, or in prose, but name no setting, metric or log event."""
SPOKEN = {"agent.goodbye", "lines.NAME.agent.goodbye"}
"""What an agent says."""


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


def import_statements(text):
    """Yield them without the rest being parsed, which takes ten times as long."""
    for statement in IMPORT.findall(text):
        with suppress(SyntaxError):  # prose that begins like one
            yield from ast.parse(statement).body


def imported(path):
    """Return the dotted names of modules, and of what is in them, that a file imports."""
    found = set()
    for node in import_statements(path.read_text()):
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


def test_no_constructor_takes_more_than_a_reader_can_hold():
    taken = {
        f"{name(path)}:{node.lineno}": len(arguments) - 1
        for path in modules("bridge")
        if "def __init__" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for arguments in [[*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    }
    assert {place: count for place, count in taken.items() if count > MAX_PARAMETERS} == {}


def test_every_example_is_read_in_a_minute():
    lengths = {name(module): len(module.read_text().splitlines()) for module in modules("examples")}
    assert {path: lines for path, lines in lengths.items() if lines >= LONGEST_EXAMPLE} == {}


def test_file_names_say_what_is_inside():
    assert [name(path) for path in tracked() if path.stem in VAGUE_NAMES] == []


def words(text):
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", text)}


def test_no_dropped_word_comes_back_in_the_name_of_a_module_a_class_or_a_function():
    named = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = [(module, part) for module in modules("bridge") for part in module.parts[-2:]]
    names += [
        (module, node.name)
        for module in modules("bridge")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, named)
    ]
    back = [f"{name(module)}: {each}" for module, each in names if DROPPED_WORDS & words(each)]
    assert back == []


def log_events():
    """Yield the name of every event that a method of a logger is called with."""
    for module in modules("bridge"):
        if not CALLED.search(text := module.read_text()):
            continue
        for call in ast.walk(ast.parse(text)):
            if not isinstance(call, ast.Call) or getattr(call.func, "attr", "") not in LEVELS:
                continue
            parts = [part for argument in call.args for part in ast.walk(argument)]
            texts = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
            yield from (text for text in texts if re.fullmatch(r"[a-z_]+\.[a-z_]+", text))


def test_no_dropped_word_names_a_log_event():
    found = set(log_events())
    assert {"call.ended", "leg.silent", "packet_path.chosen"} <= found
    assert sorted(event for event in found if DROPPED_PUBLIC_WORDS & words(event)) == []


def test_no_dropped_word_names_a_metric_or_a_setting():
    metrics = re.findall(r"^# TYPE (\w+)", Metrics(version="0").render().decode(), re.MULTILINE)
    settings = [".".join(path) for path in setting_names(cast("StructType", type_info(Settings)))]
    back = [each for each in metrics + settings if DROPPED_PUBLIC_WORDS & words(each)]
    assert sorted(set(back) - SPOKEN) == []


@pytest.mark.parametrize("package", PURE)
def test_nothing_waits_in_a_pure_package(package):
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    waiting = [
        f"{name(module)}:{node.lineno}"
        for module in modules(f"bridge/{package}")
        if re.search(r"\b(async|await)\b", text := module.read_text())
        for node in ast.walk(ast.parse(text))
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


# What tests reach into

MAX_PATCHED = 35
MAX_REACHES = 110
PASS_IT = f"at most {MAX_PATCHED} constants are patched: pass the value, or let virtual time pass"
LOOK_ON = f"at most {MAX_REACHES} reaches into private names: let the test see it from outside"
PATCH = re.compile(r'\.setattr\(\s*(?:[\w.]+,\s*)?"(?:[\w.]+\.)?(_?[A-Z][A-Z0-9_]*)"')
REACH = re.compile(r"(?<!\bself)(?<!\bcls)(?<!super\(\))\.(_[a-zA-Z]\w*)\b")
PRIVATE = re.compile(
    r"\b(?:def|class) (_[a-zA-Z]\w*)|\b(?:self|cls)\.(_[a-zA-Z]\w*)[^=\n()]*=|^(_[a-zA-Z]\w*)\b",
    re.MULTILINE,
)


def in_tests(pattern):
    """Return what a pattern finds in all tests, each with its place."""
    texts = {name(module): module.read_text() for module in modules("tests")}
    return [
        (f"{place}:{len(text[: match.end()].splitlines())}", match[1])
        for place, text in texts.items()
        for match in pattern.finditer(text)
    ]


def test_tests_patch_no_more_constants_of_modules():
    patched = in_tests(PATCH)
    assert len(patched) <= MAX_PATCHED, "\n".join([PASS_IT, *map(" ".join, patched)])


def test_tests_reach_into_no_more_private_names_of_the_bridge():
    private = {
        each
        for module in modules("bridge")
        for found in PRIVATE.findall(module.read_text())
        for each in found
    }
    private -= {"_fields", "_udp"}  # of named tuples, and of the DNS
    reaches = [one for one in in_tests(REACH) if one[1] in private]
    assert len(reaches) <= MAX_REACHES, "\n".join([LOOK_ON, *map(" ".join, reaches)])


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


def test_no_file_names_a_package_registry_or_the_machine_it_was_written_on():
    texts = b"|".join(re.escape(text.encode()) for text in [*HOSTS, *PLACES])
    needle = re.compile(rb"(?<![\w.])(?:" + texts + rb")")
    found = [(name(path), needle.search(path.read_bytes())) for path in tracked()]
    assert [(path, match[0]) for path, match in found if match] == []


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
