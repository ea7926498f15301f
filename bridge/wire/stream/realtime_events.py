"""The events of a realtime server: how their fields are read, and those that a call has no use for.

Names are those of today and of the beta.
"""

from collections.abc import Mapping
from typing import Any, Final

MAX_ID: Final = 256
"""Characters of an id; OpenAI's have about 30."""

UNUSED_EVENTS: Final = frozenset(
    {
        "conversation.created",
        "conversation.item.deleted",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.failed",
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "input_audio_buffer.cleared",
        "input_audio_buffer.committed",
        "input_audio_buffer.dtmf_event_received",
        "input_audio_buffer.timeout_triggered",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "mcp_list_tools.in_progress",
        "output_audio_buffer.cleared",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "rate_limits.updated",
        "response.audio.done",
        "response.audio_transcript.delta",
        "response.audio_transcript.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.output_item.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.text.delta",
        "response.text.done",
        "transcription_session.updated",
    }
)


def read_text(fields: Mapping[str, Any], name: str) -> str:
    """Return a field's text; empty where it has none."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def read_id(fields: Mapping[str, Any], name: str) -> str:
    """Return a field's id or name; empty where it has none, or one above `MAX_ID`: ids are remembered."""
    value = read_text(fields, name)
    return value if len(value) <= MAX_ID else ""


def read_object(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a field's object; empty where it has none."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
