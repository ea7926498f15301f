"""The speech recognition of each line, for transcripts."""

from collections.abc import Callable, Collection

from bridge.agent.demonstration import Demonstration
from bridge.agent.http_recognizer import HttpRecognizer
from bridge.agent.provider_client import Endpoint
from bridge.agent.providers import Recognizer
from bridge.call.model import LineName
from bridge.errors import Unsupported
from bridge.http.client import Http
from bridge.node.lines import Lines
from bridge.settings.line import Agent


def recognizers(
    http: Http,
    lines: Lines,
    *,
    settings_of: Callable[[LineName], Agent],
    demos: Collection[LineName],
) -> Callable[[LineName], Recognizer]:
    """Return a function that makes a line's; it raises `Unsupported` for a line without a provider.

    The lines in `demos` have a demonstration, unless they have a URL.
    """

    def recognizer_of(line: LineName) -> Recognizer:
        config, settings = lines.config(line), settings_of(line)
        if config.stt_url:
            token = config.provider_token
            at = Endpoint(http.of(line), "stt", config.stt_url, token, settings.stt_seconds)
            return HttpRecognizer(at, settings)
        if line in demos:
            return Demonstration(None)
        raise Unsupported(
            "transcripts need a provider: set callSttUrl (PUT /call/config), then reconnect"
        )

    return recognizer_of
