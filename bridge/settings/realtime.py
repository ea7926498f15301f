"""Settings of the speech-to-speech model that a line's calls are streamed to."""

import re
from typing import Any, Final

import msgspec

from bridge.errors import SettingsError
from bridge.settings.section import Positive, Secret, Section

HANG_UP: Final = "hang_up"
"""The built-in function's name."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RealtimeTool(Section, frozen=True):
    """A function that the model may call."""

    name: str
    """Letters, digits, `_` and `-`."""
    description: str = ""
    """When to call it, and what to say meanwhile."""
    parameters: dict[str, Any] = msgspec.field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    """Its parameters, as a JSON Schema."""


class Realtime(Section, frozen=True):
    """A speech-to-speech model: OpenAI's realtime interface, or a server compatible with it."""

    url: str = "wss://api.openai.com/v1/realtime"
    """The server, for streams of the protocol `openai-realtime` that name no URL (`callStreamUrl`, `stream_url`)."""
    key: Secret = ""
    """Sent as `Authorization: Bearer`, only to the origin of `url`. Empty: the server needs none."""
    model: str = "gpt-realtime-2.1"
    """Sent as `?model=` to the origin of `url`, where the URL has none. Empty: none is sent."""
    voice: str = ""
    """The model's voice. Empty: the server's default."""
    instructions: str = ""
    """What the model is told about its task; `callSystemPrompt` replaces it."""
    greeting: str = ""
    """What the model says first; `callGreeting` replaces it. Empty: the caller speaks first."""
    tools: list[RealtimeTool] = msgspec.field(default_factory=list)
    """Functions that the model may call: a list of `name`, `description`, `parameters` (a JSON Schema)."""
    tools_url: str = ""
    """Your server, which runs them: it gets a POST for each call, signed with the line's `stream.secret`."""
    tool_seconds: Positive = 10.0
    """How long it may take."""
    hang_up: bool = False
    """Offer the model a function `hang_up`, which ends the call once its last words have been played."""


def check_realtime(section: str, realtime: Realtime) -> None:
    """Refuse URLs with other schemes, and functions that could not be called or run (`SettingsError`)."""
    if not realtime.url.startswith(("wss://", "ws://")):
        raise SettingsError(f"{section}.url: expected a URL with wss or ws")
    if realtime.tools_url and not realtime.tools_url.startswith(("https://", "http://")):
        raise SettingsError(f"{section}.tools_url: expected a URL with https or http")
    if realtime.tools and not realtime.tools_url:
        raise SettingsError(f"{section}.tools_url: needed with tools, as the server that runs them")
    names = [tool.name for tool in realtime.tools]
    if realtime.hang_up:
        names.append(HANG_UP)
    for name in names:
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"{section}.tools: {name!r} is not a valid name of a function: use up to 64 letters, digits, _ and -"
            )
        if names.count(name) > 1:
            raise SettingsError(f"{section}.tools: two functions have the name {name}")
