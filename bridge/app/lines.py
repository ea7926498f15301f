"""The lines, out of the settings."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from bridge.app.foundation import Foundation
from bridge.call.model import LineName
from bridge.call.policy import LinePolicy, TrunkPolicy
from bridge.call.quota import Quota
from bridge.http.client import Http
from bridge.node.calls.inbound_policy import DecisionRule
from bridge.node.line_book import KnownLine, LineBook
from bridge.node.lines import InboundAction, InboundMode, LineConfig, Lines
from bridge.node.transcripts.meta_media import MetaLine
from bridge.providers.cloud.live import CloudLine
from bridge.providers.cloud.provider import CloudProvider
from bridge.settings.line import TEST_KEY, TEST_LINE, Line, Stream
from bridge.settings.livekit import LiveKit
from bridge.settings.model import (
    DEMO_AI_KEY,
    DEMO_AI_LINE,
    DEMO_AI_NUMBER,
    DEMO_KEY,
    DEMO_LINE,
    DEMO_NUMBER,
    Disclosure,
    LineSip,
    Realtime,
    Settings,
    WhatsApp,
)
from bridge.whatsapp.graph import Graph, GraphAccess
from bridge.whatsapp.graph_media import GraphMedia


def with_test_lines(settings: Settings) -> Settings:
    """Return the settings with a line of its own for the test keys of each line that has such.

    Its numbers and agents are those of its line, its contacts are simulated. Being a line, it shares
    no call, event, webhook, recording or configuration with any other, in no face.
    """
    lines: dict[str, Line] = {}
    for name, line in settings.lines.items():
        test = [key for key in line.keys if key.startswith(TEST_KEY)]
        live = [key for key in line.keys if key not in test]
        lines[name] = msgspec.structs.replace(line, keys=live)
        if test:
            simulated = msgspec.structs.replace(
                line, keys=test, whatsapp=WhatsApp(), sip=None, livekit=LiveKit()
            )
            lines[name + TEST_LINE] = simulated
    return msgspec.structs.replace(settings, lines=lines)


def keys_of(settings: Settings) -> dict[LineName, list[str]]:
    """Return each line's keys; without lines, those of the demonstrations."""
    if not settings.lines:
        return {LineName(DEMO_LINE): [DEMO_KEY], LineName(DEMO_AI_LINE): [DEMO_AI_KEY]}
    return {LineName(name): line.keys for name, line in settings.lines.items()}


def policies_of(settings: Settings) -> dict[LineName, LinePolicy]:
    """Return what each line may call from, and over what."""
    if not settings.lines:
        return {
            LineName(DEMO_LINE): LinePolicy((f"+{DEMO_NUMBER}",), simulated=True),
            LineName(DEMO_AI_LINE): LinePolicy((f"+{DEMO_AI_NUMBER}",), simulated=True),
        }
    return {
        LineName(name): LinePolicy(
            tuple(f"+{number.removeprefix('+')}" for number in line.numbers),
            official=line.whatsapp.provider == "cloud",
            simulated=line.whatsapp.provider == "simulator",
            trunk=_trunk_of(line.sip, private=name in settings.sip.private_trunks),
        )
        for name, line in settings.lines.items()
    }


def _trunk_of(sip: LineSip | None, *, private: bool) -> TrunkPolicy | None:
    if sip is None:
        return None
    return TrunkPolicy(
        prefixes=tuple(prefix.removeprefix("+") for prefix in sip.allow_prefixes),
        private=private,
        calls=sip.calls,
        calls_per_minute=sip.calls_per_minute,
        call_seconds=sip.call_seconds,
        transfer=sip.transfer,
        refer=sip.refer,
        caller_id=f"+{sip.caller_id.removeprefix('+')}" if sip.caller_id else "",
    )


def hold_music_of(settings: Settings) -> Callable[[LineName], Path | None]:
    """Return what finds a line's own hold music."""
    music = {
        LineName(name): settings.media_root / line.hold_music
        for name, line in settings.lines.items()
        if line.hold_music
    }
    return music.get


def streams_of(settings: Settings) -> Callable[[LineName], Stream]:
    """Return what finds the settings of a line's streams."""
    streams, others = {name: line.stream for name, line in settings.lines.items()}, Stream()
    return lambda line: streams.get(line, others)


def disclosures_of(settings: Settings) -> Callable[[LineName], Disclosure]:
    """Return a function that finds the disclosure of a line."""
    own = {name: line.disclosure for name, line in settings.lines.items()}
    return lambda line: own.get(line) or settings.disclosure


def realtime_of(settings: Settings) -> Callable[[LineName], Realtime | None]:
    """Return what finds the speech-to-speech model of a line."""
    models = {LineName(name): line.realtime for name, line in settings.lines.items()}
    return models.get


def line_count(settings: Settings) -> int:
    """Return how many lines share what there is; where an operator may make more, at least two.

    A line of test keys is not counted: it takes nothing from its bridge's only other line.
    """
    lines = sum(not name.endswith(TEST_LINE) for name in settings.lines)
    return max(2, lines) if settings.admin.keys else lines


def call_quota(settings: Settings) -> Quota:
    """Return how many calls a node takes, and each line of them."""
    return Quota(
        "calls",
        "limits.calls",
        settings.limits.calls,
        settings.limits.calls_per_line,
        line_count(settings),
        line_setting="limits.calls_per_line",
    )


def only_line(settings: Settings) -> LineName | None:
    """Return the line of a bridge that has one, and gets no other; that of the demonstration is `demo`."""
    names = [name for name in settings.lines or (DEMO_LINE,) if not name.endswith(TEST_LINE)]
    return LineName(names[0]) if len(names) == 1 and not settings.admin.keys else None


class MadeLines:
    """What depends on which lines there are, kept to what an operator changes."""

    def __init__(self, settings: Settings) -> None:
        """Begin with the lines of the settings."""
        self.policies = policies_of(settings)
        simulated = lines_of(settings, "simulator") if settings.lines else self.policies
        self.simulated = set(simulated)
        """Lines whose contacts are simulated."""

    def changed(self, known: KnownLine | None, line: LineName) -> None:
        """Add a line that was made; one that was removed stays until the end."""
        if known is not None and known.made:
            numbers = tuple(f"+{number.removeprefix('+')}" for number in known.numbers)
            self.policies[line] = LinePolicy(numbers, simulated=True)
            self.simulated.add(line)


def decisions_of(settings: Settings) -> dict[LineName, DecisionRule]:
    """Return how long each line's server has to decide about calls that ring it."""
    return {
        LineName(name): DecisionRule(line.decision_seconds, InboundAction(line.decision_default))
        for name, line in settings.lines.items()
    }


def demonstrations_of(settings: Settings) -> dict[LineName, LineConfig]:
    """Return the demonstration lines, and how each takes calls at first."""
    if settings.lines:
        return {}
    return {
        LineName(DEMO_LINE): LineConfig(),
        LineName(DEMO_AI_LINE): LineConfig(mode=InboundMode.AI),
    }


def lines_of(settings: Settings, provider: str) -> dict[LineName, WhatsApp]:
    """The lines whose WhatsApp calls come from a provider, and how it is reached."""
    return {
        LineName(name): line.whatsapp
        for name, line in settings.lines.items()
        if line.whatsapp.provider == provider
    }


def build_lines(base: Foundation, made: MadeLines) -> tuple[Lines, LineBook]:
    """Make the lines' call settings, and the book of the lines and their keys."""
    settings, database, siblings = base.settings, base.database, base.siblings
    numbers = {line: policy.numbers for line, policy in made.policies.items()}
    book = LineBook(database, keys_of(settings), numbers, siblings=siblings)
    lines = Lines(
        database,
        {LineName(name): line.numbers for name, line in settings.lines.items()},
        fresh=demonstrations_of(settings),
        paused=book.paused,
        siblings=siblings,
    )
    return lines, book


def graph_of(whatsapp: WhatsApp, http: Http) -> Graph:
    """Return the Graph client of a line."""
    return Graph(access_of(whatsapp), http)


def meta_lines(settings: Settings, cloud: CloudProvider, http: Http) -> dict[LineName, MetaLine]:
    """Return where the files of Meta's lines are had, and whether they are deleted there."""
    return {
        name: MetaLine(
            GraphMedia(cloud.graph(name), access_of(line), http.of(name), host=line.media_host),
            line.meta_delete,
        )
        for name, line in lines_of(settings, "cloud").items()
    }


def access_of(whatsapp: WhatsApp) -> GraphAccess:
    """Return the number of a line, and its credentials."""
    return GraphAccess(
        phone_number_id=whatsapp.phone_number_id,
        access_token=whatsapp.access_token,
        base_url=whatsapp.base_url,
        version=whatsapp.version,
        auth_header=whatsapp.auth_header,
        path=whatsapp.path,
        settings_path=whatsapp.settings_path,
        announcements=announcements(whatsapp),
    )


def announced_of(settings: Settings) -> Callable[[LineName], float]:
    """Return what finds for how many seconds Meta announces that it records a line's calls."""
    found = {name: line.announced_seconds for name, line in lines_of(settings, "cloud").items()}
    return lambda line: found.get(line, 0.0)


def announcements(whatsapp: WhatsApp) -> dict[str, dict[str, str]]:
    """Return what Meta announces to the other party: that the call is recorded, or transcribed."""
    purposes = {
        "recording": whatsapp.recording_purpose,
        "transcription": whatsapp.transcription_purpose,
    }
    return {
        name: {
            "status": "ENABLED",
            "purpose": purpose,
            "announcement_language": whatsapp.announcement_language,
        }
        for name, purpose in purposes.items()
        if purpose
    }


def cloud_lines(settings: Settings, http: Http) -> dict[LineName, CloudLine]:
    """Return the lines that use Meta's Cloud API, as their provider takes them."""
    return {
        name: CloudLine(
            phone_number_id=whatsapp.phone_number_id,
            app_secret=whatsapp.app_secret,
            verify_token=whatsapp.verify_token,
            signature_header=whatsapp.signature_header,
            pre_accept=whatsapp.pre_accept,
            by_sip=whatsapp.signalling == "sip",
            graph=graph_of(whatsapp, http),
        )
        for name, whatsapp in lines_of(settings, "cloud").items()
    }
