"""What the examples for Android and iOS send and read is what the bridge, and the app's server, take and answer."""

import importlib
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.api.openapi import document
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.webhook.formats import native

EXAMPLES = Path(__file__).parents[2] / "examples"


class Field(NamedTuple):
    """A member of a record that is sent as JSON, or read from it."""

    type: str
    optional: bool


class Request(NamedTuple):
    """A request, by the names of the records that it sends and reads."""

    method: str
    path: str
    sends: str
    reads: str


@dataclass(frozen=True)
class Language:
    """How a language writes records and requests."""

    files: str
    record: re.Pattern[str]
    field: re.Pattern[str]
    request: re.Pattern[str]
    event_type: re.Pattern[str]


KOTLIN = Language(
    "android/*.kt",
    re.compile(r"@Serializable\s+data class (?P<name>\w+)\((?P<fields>.*?)\)", re.DOTALL),
    re.compile(r"val (?P<name>\w+): (?P<type>[\w<>]+)(?P<optional>\??(?: = )?)"),
    re.compile(
        r"suspend fun \w+\((?:\w+: (?P<sends>[A-Z]\w+))?[^)]*\)(?:: (?P<reads>\w+))? = *\n? *"
        r'\w+\("(?P<method>[A-Z]+)", "(?P<path>[^"]+)"'
    ),
    re.compile(r'"(call\.\w+)"'),
)
SWIFT = Language(
    "ios/*.swift",
    re.compile(r"struct (?P<name>\w+): (?:De|En)codable \{(?P<fields>.*?)\n\}", re.DOTALL),
    re.compile(r"let (?P<name>\w+): (?P<type>[\w\[\]]+)(?P<optional>\??)"),
    re.compile(
        r"func \w+\((?:_ \w+: (?P<sends>[A-Z]\w+))?[^)]*\) async throws(?: -> (?P<reads>\w+))? "
        r'\{ try await \w+\("(?P<method>[A-Z]+)", "(?P<path>[^"]+)"'
    ),
    re.compile(r'"(call\.\w+)"'),
)
LANGUAGES = pytest.mark.parametrize("language", [KOTLIN, SWIFT], ids=["android", "ios"])
PLAIN = {"String", "URL"}
TYPES = {"string": PLAIN, "boolean": {"Boolean", "Bool"}}
BRIDGE = {
    ("GET", "/call/webrtc/config"),
    ("POST", "/call/webrtc/offer"),
    ("POST", "/call/webrtc/close"),
}
SERVER = {
    ("POST", "/devices"),
    ("POST", "/calls"),
    ("POST", "/calls/{call}/ticket"),
    ("POST", "/calls/{call}/answer"),
    ("POST", "/calls/{call}/hangup"),
}


def sources(language: Language) -> str:
    return "\n".join(path.read_text() for path in sorted(EXAMPLES.glob(language.files)))


def records(language: Language) -> dict[str, dict[str, Field]]:
    """Return the records that are sent or read, with their fields."""
    return {
        found["name"]: {
            field["name"]: Field(field["type"], bool(field["optional"]))
            for field in language.field.finditer(found["fields"])
        }
        for found in language.record.finditer(sources(language))
    }


def requests(language: Language) -> dict[tuple[str, str], Request]:
    """Return the requests, with `{call}` in their paths where a call's id stands."""
    found = {}
    for match in language.request.finditer(sources(language)):
        path = re.sub(r"\$\w+|\\\(\w+\)", "{call}", match["path"])
        # A ticket, an answer and a hang-up take the call's id, which is no record.
        sends = "" if match["sends"] in {None, "String"} else match["sends"]
        found[match["method"], path] = Request(match["method"], path, sends, match["reads"] or "")
    return found


def resolved(schema: Any) -> Any:
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def faults(language: Language, name: str, schema: Any, *, sent: bool) -> list[str]:
    """Compare a record with a schema, and the records within it."""
    fields, schema = records(language)[name], resolved(schema)
    known, required = schema["properties"], set(schema.get("required", ()))
    wrong = [f"{name}.{field} is not in the schema" for field in fields if field not in known]
    if sent:
        certain = {field for field, how in fields.items() if not how.optional}
        wrong += [f"{name}.{field} is required" for field in sorted(required - certain)]
    else:
        wrong += [
            f"{name}.{field} may be missing in the answer"
            for field, how in fields.items()
            if field in known and field not in required and not how.optional
        ]
    for field, how in fields.items():
        if field in known:
            wrong += mismatch(language, f"{name}.{field}", how.type, known[field], sent=sent)
    return wrong


def mismatch(language: Language, place: str, written: str, schema: Any, *, sent: bool) -> list[str]:
    """Compare the type of one field."""
    inner = re.fullmatch(r"List<(\w+)>|\[(\w+)\]", written)
    schemas = [resolved(each) for each in schema.get("anyOf", [schema])]
    kinds = {each.get("type") or kind_of(each) for each in schemas} - {"null"}
    if inner:
        [item] = [each["items"] for each in schemas if each.get("type") == "array"]
        element = inner[1] or inner[2]
        if element in records(language):
            return faults(language, element, item, sent=sent)
        return mismatch(language, place, element, item, sent=sent)
    fitting = any(written in TYPES.get(kind, ()) for kind in kinds)
    return [] if fitting else [f"{place} is {written}, in the schema {kinds}"]


def kind_of(schema: Any) -> str:
    value = schema.get("const", schema.get("enum", [""])[0])
    return {bool: "boolean", str: "string"}[type(value)]


@LANGUAGES
def test_an_example_uses_all_three_routes_of_media_and_no_others(language):
    assert requests(language).keys() == BRIDGE | SERVER


@LANGUAGES
@pytest.mark.parametrize(("method", "path"), sorted(BRIDGE))
def test_what_an_example_sends_and_reads_is_in_the_openapi(language, method, path):
    request = requests(language)[method, path]
    operation = document()["paths"][path][method.lower()]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    wrong = faults(language, request.reads, answer, sent=False)
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        wrong += faults(language, request.sends, body, sent=True)
    else:
        assert not request.sends
    assert wrong == []


@LANGUAGES
def test_an_example_opens_these_routes_with_a_ticket(language):
    for method, path in BRIDGE:
        assert {"ticket": []} in document()["paths"][path][method.lower()]["security"]
    assert {"ticket": []} in document()["paths"]["/call/{callId}/events"]["get"]["security"]
    text = sources(language)
    assert re.search(r'"/call/(\$callId|\\\(callId\))/events"', text)
    assert '"token"' in text
    assert "BRIDGE_KEY" not in text


@LANGUAGES
def test_an_example_listens_to_events_that_there_are(language):
    event = native(
        CallEvent(id="evt", type=EventType.CALL_ENDED, at=datetime.now(UTC), line="demo")
    )
    assert records(language)["CallEvent"].keys() <= event.keys()
    named = set(language.event_type.findall(sources(language)))
    assert named == {"call.answered", "call.ended"}
    assert named <= set(EventType)


@pytest.fixture(scope="module")
def server():
    """The module of the app's server that declares its routes, and the one that answers them."""
    sys.path.insert(0, str(EXAMPLES / "push"))
    before = set(sys.modules)
    try:
        yield importlib.import_module("server")
    finally:
        sys.path.remove(str(EXAMPLES / "push"))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(EXAMPLES)):
                del sys.modules[name]


@LANGUAGES
def test_the_apps_server_has_the_routes_that_an_example_asks(language, server):
    app = server.make_app(server.Bridge("", ""), "", None, server.Logins({}))
    for method, path in SERVER:
        asked = path.replace("{call}", "0" * 32)
        matches = [
            route.resource.url_for  # it exists
            for route in app.router.routes()
            if route.method == method and route.resource._match(asked) is not None
        ]
        assert matches, path
    shown = records(language)
    assert tuple(shown["Device"]) == server.Device._fields
    assert tuple(shown["Joined"]) == ("bridge", "callId", "ticket")
    assert tuple(shown["Dial"]) == ("phone",)
