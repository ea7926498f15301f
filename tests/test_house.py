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

WITHOUT_A_TEST_FILE = {
    "bridge/__main__.py": "run as a process by tests/deploy and tests/browser",
    "bridge/app/build.py": "builds the bridge that every test of tests/api and tests/calls runs on",
    "bridge/app/peers.py": "as app/build.py",
    "bridge/app/console.py": "as app/build.py",
    "bridge/app/recordings.py": "as app/build.py",
    "bridge/app/telephones.py": "tests/calls/telephone/test_simulated_telephones.py goes through it",
    "bridge/app/streams.py": "as app/build.py",
    "bridge/app/transcripts.py": "as app/build.py",
    "bridge/metrics/transcription.py": "tests/api/media/test_transcripts.py goes through it",
    "bridge/settings/transcription.py": "tests/settings/test_model.py goes through it",
    "bridge/node/transcripts/recognizers.py": "tests/api/media/test_transcripts.py goes through it",
    "bridge/node/transcripts/events.py": "tests/api/media/test_transcripts.py goes through it",
    "bridge/app/drain.py": "tests/api/operations/test_drain.py goes through it",
    "bridge/node/calls/drain_announcement.py": "tests/api/operations/test_drain.py goes through it",
    "bridge/app/foundation.py": "a record without behaviour",
    "bridge/app/services.py": "as app/build.py",
    "bridge/app/voicemail.py": "as app/build.py",
    "bridge/node/pulse.py": "runs in every test of tests/api and tests/calls",
    "bridge/api/server/services.py": "a record without behaviour",
    "bridge/api/server/pages.py": "tests/api/operations/test_page.py and tests/deploy/test_wheel.py go through it",
    "bridge/api/routes.py": "a list; every route has its test in tests/api",
    "bridge/serve.py": "run as a process by tests/supervisor/test_main.py, tests/deploy and tests/browser",
    "bridge/audio/frame.py": "constants and two types",
    "bridge/audio/codec/encoded_packet.py": "a record without behaviour",
    "bridge/wire/sdp/negotiated_audio.py": "a record without behaviour",
    "bridge/wire/sdp/attributes.py": "as wire/sdp/lines.py",
    "bridge/rtp/opus_tuning.py": "tests/rtp/test_sender*.py go through it",
    "bridge/rtp/frame_output.py": "the lower half of rtp/receiver.py, tested through it",
    "bridge/call/commands.py": "records without behaviour",
    "bridge/call/bus/ends.py": "protocols",
    "bridge/call/leg_state.py": "records without behaviour",
    "bridge/call/diagnosis/observation.py": "records without behaviour",
    "bridge/call/events.py": "records without behaviour",
    "bridge/sip/events.py": "records without behaviour",
    "bridge/sip/boundary.py": "records without behaviour",
    "bridge/trunk/interfaces.py": "protocols",
    "bridge/sip/answer.py": "tests/sip/test_invite_in.py and test_offers.py go through it",
    "bridge/sip/call.py": "tests/sip/test_core.py goes through it",
    "bridge/sip/counters.py": "a record without behaviour",
    "bridge/sip/exchange.py": "tests/sip/test_digest.py, test_invite_out.py and test_registration.py go through it",
    "bridge/sip/message/headers.py": "tests/sip/message/test_message.py goes through it",
    "bridge/sip/inbound.py": "tests/sip/test_receiver.py and test_invite_in.py go through it",
    "bridge/sip/session.py": "tests/sip/test_core.py and test_lossy_network.py go through it",
    "bridge/sip/stack.py": "tests/sip/message/test_message.py goes through it",
    "bridge/errors.py": "a tree of classes without behaviour",
    "bridge/media/decoding/sandbox.py": "tests/security/test_media_sandbox.py breaks out of it in vain",
    "bridge/media/decoding/encode.py": "run as a process by tests/media/test_encoder.py",
    "bridge/node/calls/announcement.py": "tests/api/media/test_recording_rules.py goes through it",
    "bridge/node/recording/paths.py": "tests/api/media/test_recording_paths.py goes through it",
    "bridge/node/recording/rules.py": "tests/api/faces/wadial/test_recordings.py goes through it",
    "bridge/node/recording/events.py": "tests/node/recording/test_recordings.py goes through it",
    "bridge/api/server/sse.py": "tests/api/events/test_events.py and test_console.py go through it",
    "bridge/api/media/recording_files.py": "tests/api/media/test_recording_store.py goes through it",
    "bridge/media/recording/search.py": "tests/api/faces/wavix/test_recordings.py goes through it",
    "bridge/api/faces/wadial/audio.py": "tests/api/media/test_playback.py goes through it",
    "bridge/metrics/voicemail.py": "tests/node/voicemail/test_calls.py goes through it",
    "bridge/metrics/agent.py": "tests/legs/test_agent.py and tests/calls/test_agent.py go through it",
    "bridge/api/operations/sip.py": "tests/calls/telephone/test_trunk_nodes.py goes through it",
    "bridge/providers/sip/simulated.py": "tests/calls/telephone/test_simulated_telephones.py goes through it",
    "bridge/settings/section.py": "types without behaviour",
    "bridge/settings/net.py": "tests/settings/test_model.py goes through it",
    "bridge/settings/rtc.py": "tests/settings/test_model.py goes through it",
    "bridge/settings/line.py": "tests/settings/test_model.py goes through it",
    "bridge/agent/endpoint.py": "tests/agent/test_http_providers.py goes through it",
    "bridge/agent/providers.py": "protocols and records without behaviour",
    "bridge/agent/script.py": "records without behaviour",
    "bridge/node/calls/digits.py": "tests/api/faces/wavix/test_audio.py goes through it",
    "bridge/node/calls/agent.py": "tests/calls/test_agent.py goes through it",
    "bridge/api/media/agent.py": "tests/calls/test_agent.py goes through it",
    "bridge/legs/base.py": "a protocol",
    "bridge/call/bus/party.py": "tests/call/test_bus*.py go through it",
    "bridge/legs/peer_media.py": "tests/legs/test_webrtc.py and test_cloud.py go through it",
    "bridge/rtc/ice.py": "tests/rtc/test_peer*.py and test_hostile_datagrams.py go through it",
    "bridge/rtc/config.py": "records without behaviour",
    "bridge/rtc/link.py": "as rtc/ice.py",
    "bridge/rtc/transport.py": "as rtc/ice.py",
    "bridge/rtc/plain_transport.py": "tests/rtc/test_plain_peer.py goes through it",
    "bridge/rtc/rtp_socket.py": "tests/rtc/test_plain_peer.py goes through it",
    "bridge/api/events/webhook_endpoints.py": "tests/api/events/test_webhooks.py goes through it",
    "bridge/api/faces/wadial/webhooks.py": "tests/api/events/test_webhooks.py goes through it",
    "bridge/api/faces/chirp/webhooks.py": "tests/api/events/test_webhooks.py goes through it",
    "bridge/metrics/calls.py": "tests/metrics/test_registry.py goes through it",
    "bridge/metrics/node.py": "tests/metrics/test_registry.py goes through it",
    "bridge/metrics/families.py": "tests/metrics/test_registry.py goes through it",
    "bridge/stores/deliveries.py": "the table of webhooks/delivery.py, tested through it",
    "bridge/stores/endpoints.py": "as stores/deliveries.py",
    "bridge/stores/events.py": "the table of stores/event_log.py, tested through it",
    "bridge/wire/call_event.py": "records without behaviour",
    "bridge/wire/webhook/chirp.py": "the lower half of wire/webhook/formats.py, tested through it",
    "bridge/wire/webhook/wadial.py": "as wire/webhook/chirp.py",
    "bridge/wire/webhook/zuckzapgo.py": "as wire/webhook/chirp.py",
    "bridge/wire/sdp/lines.py": "the lower half of wire/sdp/description.py, tested through it",
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base_classes", "stuff"}


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


def test_every_module_has_its_tests_under_the_same_path():
    untested = []
    for module in modules("bridge"):
        beside = PROJECT / "tests" / module.relative_to(PROJECT / "bridge").parent
        found = [*beside.glob(f"test_{module.stem}.py"), *beside.glob(f"test_{module.stem}_*.py")]
        if not found and module.name != "__init__.py" and name(module) not in WITHOUT_A_TEST_FILE:
            untested.append(name(module))
    assert untested == []


def test_the_list_of_modules_without_tests_is_not_out_of_date():
    for path in WITHOUT_A_TEST_FILE:
        module = PROJECT / path
        assert module.exists(), path
        beside = PROJECT / "tests" / module.relative_to(PROJECT / "bridge").parent
        assert not (beside / f"test_{module.stem}.py").exists(), path


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
