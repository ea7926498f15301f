"""The section `telemetry` of the settings."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError
from bridge.settings.section import Secret, Section

_NEEDED: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_HEADER: Final = re.compile(r"(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+): *(?P<value>[\x20-\x7e]*)")


class Telemetry(Section, frozen=True):
    """Traces of calls for an OpenTelemetry collector; needs the packages of the extra `telemetry`."""

    endpoint: str = ""
    """URL of the collector (OTLP over HTTP), such as `http://127.0.0.1:4318`; `/v1/traces` is appended if it has no path. Empty: nothing
    is traced."""
    ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """The share of calls that are traced. The trace id decides, not the flags of a request's `traceparent`."""
    headers: list[Secret] = msgspec.field(default_factory=list)
    """Headers of each request as `Name: value`, such as a collector's key."""
    seconds: Annotated[float, Meta(gt=0, le=10)] = 2.0
    """Timeout of a request; its spans are lost."""
    service: str = "webrtc-media-bridge"
    """`service.name` of the traces."""


def headers_of(telemetry: Telemetry) -> dict[str, str]:
    """Return the headers by name."""
    found = filter(None, map(_HEADER.fullmatch, telemetry.headers))
    return {one["name"]: one["value"] for one in found}


def is_installed() -> bool:
    """Return whether the packages of the extra are installed; they are not imported."""
    try:
        return all(find_spec(one) is not None for one in _NEEDED)
    except ModuleNotFoundError:  # a package above one of them
        return False


def check_telemetry(telemetry: Telemetry, *, installed: Callable[[], bool] = is_installed) -> None:
    """Refuse settings with which no trace could be sent (`SettingsError`)."""
    if not telemetry.endpoint:
        return
    try:
        parsed = urlsplit(telemetry.endpoint)
        valid = bool(parsed.scheme in ("http", "https") and parsed.hostname and parsed.port != 0)
    except ValueError:
        raise SettingsError("telemetry.endpoint: this is no URL") from None
    if not valid:
        raise SettingsError("telemetry.endpoint: expected a URL with http or https")
    if parsed.username is not None or parsed.password is not None:
        raise SettingsError("telemetry.endpoint: a key belongs into telemetry.headers")
    if not all(map(_HEADER.fullmatch, telemetry.headers)):
        raise SettingsError("telemetry.headers: expected a list of `Name: value`")
    if not installed():
        raise SettingsError(
            "telemetry.endpoint: traces need packages that are not installed: "
            "pip install 'webrtc-media-bridge[telemetry]', or in a checkout pip install -r locks/telemetry.lock"
        )
