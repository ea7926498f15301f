"""Tests of what counts as a secret in the settings, and how it is hidden."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.inspect import DictType, ListType, Metadata, StructType, UnionType, type_info

from bridge.settings.model import Data, Http, Line, Settings, Turn, TurnServer
from bridge.settings.secrets import HIDDEN, hide, passwords_in, secrets_in
from bridge.settings.section import MARK

SUGGESTIVE = re.compile("key|secret|token|password|credential|signature|^headers$")
NO_SECRETS = {"tls_key", "signature_header"}
"""Settings that are the path of a file, or the name of a header."""


def fields(kind: Any) -> Iterator[tuple[str, bool]]:
    """Yield the name of every setting, and whether it is declared as a secret."""
    for field in kind.fields:
        shape: Any = field.type
        while isinstance(shape, ListType | DictType):
            shape = shape.item_type if isinstance(shape, ListType) else shape.value_type
        parts = shape.types if isinstance(shape, UnionType) else (shape,)
        record = next((one for one in parts if isinstance(one, StructType)), None)
        if record:
            yield from fields(record)
        else:
            marked = isinstance(shape, Metadata) and bool((shape.extra or {}).get(MARK))
            yield field.name, marked


def test_every_setting_whose_name_suggests_a_secret_is_declared_as_one():
    found = dict(fields(type_info(Settings)))
    assert {name for name in found if SUGGESTIVE.search(name)} - NO_SECRETS == {
        name for name, marked in found.items() if marked
    }


def test_a_secret_is_hidden_and_an_empty_one_is_seen_to_be_empty():
    turn = Turn(
        secret="of coturn", servers=[TurnServer(urls=["turn:b"], username="b", credential="c")]
    )
    shown: Any = hide(turn, type_info(Turn))
    assert (shown["secret"], shown["credential"]) == (HIDDEN, "")
    assert shown["servers"] == [{"urls": ["turn:b"], "username": "b", "credential": HIDDEN}]


def test_the_number_of_keys_is_seen():
    shown: Any = hide(Line(keys=["one", "two"]), type_info(Line))
    assert shown["keys"] == [HIDDEN, HIDDEN]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://b:pass:word@db/b", f"postgresql://b:{HIDDEN}@db/b"),
        (
            "postgresql://b@db/b?password=x&sslmode=off",
            f"postgresql://b@db/b?password={HIDDEN}&sslmode=off",
        ),
        ("https://calls.example/path?model=a", "https://calls.example/path?model=a"),
        ("wss://a.example/?api_key=x", f"wss://a.example/?api_key={HIDDEN}"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("https://a-token@a.example/tools", f"https://{HIDDEN}@a.example/tools"),
        ("wss://a:b@a.example/", f"wss://a:{HIDDEN}@a.example/"),
    ],
)
def test_the_secrets_in_a_url_are_hidden_and_the_rest_is_seen(url, shown):
    found: Any = hide(Data(url=url), type_info(Data))
    assert found["url"] == shown


def test_all_secrets_are_found_wherever_they_are():
    settings = Settings(
        lines={"a": Line(keys=["the-key"])},
        data=Data(url="postgresql://b:the-word@db/b"),
        http=Http(public_url="https://calls.example"),
        turn=Turn(secret="the-secret"),
    )
    assert {one for one in secrets_in(settings) if one} == {"the-key", "the-word", "the-secret"}


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("postgresql://b:a-long%20word@db/b", {"a-long%20word", "a-long word"}),
        ("postgresql://b@db/b?password=another-word", {"another-word"}),
        ("postgresql:///b", set()),
        ("postgresql://b@db/b", set()),
        ("https://a-token@a.example/tools", {"a-token"}),
        ("postgresql://b:a-long-word@[db/b", set()),
    ],
)
def test_the_password_in_a_url_is_a_secret_in_every_spelling(url, passwords):
    assert set(passwords_in(url)) == passwords


def test_records_become_plain_data():
    assert hide(Settings(), type_info(Settings)) == msgspec.to_builtins(Settings())
