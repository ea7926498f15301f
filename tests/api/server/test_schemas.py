"""Schemas of the operations' types: what may be missing, and what refers to what."""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType

from bridge.api.server.fields import field
from bridge.api.server.operation import Context, Group
from bridge.api.server.schemas import Schemas


class Inner(Struct):
    name: str


class Colour(StrEnum):
    """What everybody knows."""

    RED = "red"
    BLUE = "blue"


class Taken(Struct):
    name: str
    times: int = 1
    note: str | None = None
    colour: Annotated[Colour, field("of the note")] | None = None
    ink: Colour = Colour.BLUE


class Other(Struct):
    wago: str


class Given(Struct):
    inner: list[Inner]
    secret: str | UnsetType = UNSET
    ok: Literal[True] = True


GROUP = Group(name="Native")


@GROUP.post("/a")
async def greet(_context: Context, body: Other | Taken) -> Given:
    """Greet somebody."""
    raise NotImplementedError


@GROUP.post("/b")
async def ask(_context: Context, body: Taken) -> Given:
    """Ask somebody."""
    raise NotImplementedError


def test_a_fields_default_lets_a_request_leave_it_out():
    schema = Schemas([ask]).body(ask)
    assert schema["required"] == ["name"]
    assert schema["properties"]["times"] == {"type": "integer", "default": 1}
    assert schema["properties"]["note"] == {"type": "string"}


def test_a_fields_default_is_in_every_answer():
    schema = Schemas([ask]).of(Given)
    assert schema["required"] == ["inner", "ok"]
    assert schema["properties"]["ok"] == {"const": True}


def test_a_body_in_the_words_of_two_vendors_is_either():
    schemas = Schemas([greet])
    assert schemas.body(greet) == {
        "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Other", "Taken")]
    }
    assert set(schemas.components) == {"Other", "Taken"}


def test_what_is_inside_a_type_is_a_component():
    schemas = Schemas([ask])
    schemas.success(ask)
    assert set(schemas.components) == {"Inner"}


def test_a_field_of_an_enum_is_described_by_itself_or_else_by_the_enum():
    found = Schemas([ask]).body(ask)["properties"]
    assert found["colour"]["description"] == "of the note"
    assert found["ink"]["description"] == "What everybody knows."
    assert found["colour"]["enum"] == found["ink"]["enum"] == ["blue", "red"]
