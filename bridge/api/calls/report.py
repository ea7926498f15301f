"""What a browser says about its own half of a call: `POST /call/{callId}/report`."""

import asyncio
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from bridge.api.calls.render import camel
from bridge.api.server.fields import LegId, field
from bridge.api.server.operation import REPORT, Context, Done, Group
from bridge.api.server.services import CONTROL, NODE
from bridge.call.diagnosis.observation import (
    CandidateType,
    ClientHints,
    Microphone,
    OutputDevice,
    Speaker,
)
from bridge.errors import BridgeError, RateLimited
from bridge.node.calls.browsers import check_owner

GROUP: Final = Group(name="Native", auth=REPORT)
MAX_BYTES: Final = 4096


class ReportedMicrophone(Struct, rename="camel"):
    """The track that the browser sends."""

    state: Microphone
    level_dbov: Annotated[float, field("root mean square", ge=-127, le=0)] | None = None
    filtered: Annotated[bool, field("whether echo cancellation or noise suppression is on")] = False


class ReportedSpeaker(Struct):
    """The audio element that plays the call."""

    state: Speaker


class ReportedPair(Struct):
    """The selected candidates' types, and how the local one is reached."""

    local: CandidateType
    remote: CandidateType
    protocol: Literal["udp", "tcp", "tls"] = "udp"


class Report(Struct, rename=camel):
    """How a leg stands in its browser; what is left out is not known."""

    leg_id: LegId
    microphone: ReportedMicrophone | None = None
    speaker: ReportedSpeaker | None = None
    candidate_types: Annotated[
        list[CandidateType], field("of what the browser has gathered", max_length=4)
    ] = []
    selected_pair: ReportedPair | None = None
    ice_state: (
        Literal["new", "checking", "connected", "completed", "disconnected", "failed", "closed"]
        | None
    ) = None
    dtls_state: Literal["new", "connecting", "connected", "failed", "closed"] | None = None
    turn_error: (
        Annotated[int, field("of `icecandidateerror` for a TURN server", ge=300, le=799)] | None
    ) = None
    jitter_buffer_ms: Annotated[float, Meta(ge=0, le=60_000)] | None = None
    concealed_ratio: Annotated[
        float, field("of the last seconds' audio, without silence", ge=0, le=1)
    ] = 0.0
    output_device: OutputDevice | None = None
    hidden: Annotated[bool, field("whether the page is in the background")] = False


@GROUP.post("/call/{callId}/report", errors=(404, 502, 503), max_body=MAX_BYTES)
async def report(context: Context, body: Report) -> Done:
    """Take what a browser says about its own leg, in place of its last report.

    It counts for 15 s, and can only add to what the diagnosis says of this leg. At most two a second of
    each leg; they do not count against the rate limit of tickets. A ticket reports about legs that its
    party and identity made.
    """
    access, manager = context.access, context[CONTROL].manager
    count = context[NODE].metrics.calls.client_reported
    leg_id = body.leg_id
    try:
        runner = manager.live(access.line_for(context.call_id), context.call_id)
        check_owner(runner, leg_id, access.owner)
        manager.diagnoses.hint(runner, leg_id, _hints(body), asyncio.get_running_loop().time())
    except BridgeError as error:
        count("too_many" if isinstance(error, RateLimited) else "refused")
        raise
    count("taken")
    return Done()


def _hints(body: Report) -> ClientHints:
    microphone, speaker, pair = body.microphone, body.speaker, body.selected_pair
    return ClientHints(
        microphone=None if microphone is None else microphone.state,
        microphone_dbov=None if microphone is None else microphone.level_dbov,
        microphone_filtered=microphone is not None and microphone.filtered,
        speaker=None if speaker is None else speaker.state,
        output_device=body.output_device,
        turn_error=body.turn_error,
        candidate_types=frozenset(body.candidate_types),
        path="" if pair is None else f"{pair.local} over {pair.protocol}",
        ice=body.ice_state or "",
        dtls=body.dtls_state or "",
        jitter_buffer_ms=body.jitter_buffer_ms,
        concealed_ratio=body.concealed_ratio,
        hidden=body.hidden,
    )
