"""A scenario: what a caller does, and what is expected of the bot. docs/rehearse.md describes each key. Pure."""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=600)]
Level: TypeAlias = Annotated[float, Meta(ge=-60, le=0)]
Percent: TypeAlias = Annotated[float, Meta(ge=0, le=100)]
Digits: TypeAlias = Annotated[str, Meta(pattern="^[0-9*#A-D]{1,64}$")]
Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2000)]
Words: TypeAlias = tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...]
VoiceName: TypeAlias = Annotated[str, Meta(pattern="^[A-Za-z0-9+_-]{1,40}$")]
Speed: TypeAlias = Annotated[int, Meta(ge=80, le=450)]
Pitch: TypeAlias = Annotated[int, Meta(ge=0, le=99)]

Protocol: TypeAlias = Literal[
    "native",
    "wavix",
    "twilio",
    "openai-realtime",
    "zuckzapgo",
    "wadial",
    "webrtc",
    "livekit",
    "agent",
]
DIALLED: Final = ("native", "wavix", "twilio", "openai-realtime")
"""The protocols of bots that the bridge connects to."""
LISTENING: Final = ("native", "zuckzapgo", "wadial", "webrtc", "livekit")
"""Those of bots that connect to the bridge."""
PORT: Final = "{port}"
"""In a bot's command and URL: a free port."""
NOISES: Final = ("white", "pink", "hum", "babble", "none")
"""Noises that are made; any other is a WAV file."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a scenario."""


class StepExpect(Table, frozen=True, kw_only=True):
    """What is expected of one step; None, or empty: nothing."""

    wait: Seconds | None = None
    heard: Words = ()
    not_heard: Words = ()
    interrupted: Seconds | None = None
    goes_on: bool = False
    kind: Literal["backchannel", "interruption", "noise"] | None = None
    silent: bool = False


class Step(Table, frozen=True, kw_only=True):
    """What every step may have."""

    expect: StepExpect = StepExpect()


class Spoken(Step, frozen=True, kw_only=True):
    """A step in which the caller speaks; None: as `Caller` has it."""

    voice: VoiceName | None = None
    speed: Speed | None = None
    pitch: Pitch | None = None
    level: Level | None = None


class Say(Spoken, frozen=True, kw_only=True):
    """Say a text."""

    say: Text


class Backchannel(Spoken, frozen=True, kw_only=True):
    """Say a text that asks nothing, while the bot speaks."""

    backchannel: Text
    after: Seconds = 1.0
    within: Seconds = 15.0


class BargeIn(Spoken, frozen=True, kw_only=True):
    """Interrupt the bot."""

    barge_in: Text
    after: Seconds = 1.0
    within: Seconds = 15.0


class Play(Step, frozen=True, kw_only=True):
    """Play a WAV file; None: as loud as it is."""

    play: Text
    level: Level | None = None


class Wait(Step, frozen=True, kw_only=True):
    """Be silent for some seconds."""

    wait: Seconds


class WaitFor(Step, frozen=True, kw_only=True):
    """Be silent until something happens."""

    wait_for: Literal["answer", "answer_end", "silence", "words", "digits", "hang_up"]
    within: Seconds = 15.0
    silence: Seconds = 1.0
    words: Words = ()
    digits: Digits = ""


class Press(Step, frozen=True, kw_only=True):
    """Press keys."""

    digits: Digits
    gap: Seconds = 0.25


class Noise(Step, frozen=True, kw_only=True):
    """Have a noise behind the voice from now on."""

    noise: Text
    snr: Annotated[float, Meta(ge=-20, le=80)] = 20.0


class Loss(Step, frozen=True, kw_only=True):
    """Lose frames from now on."""

    loss: Percent


class HangUp(Step, frozen=True, kw_only=True):
    """Hang up."""

    hang_up: Literal[True]


STEPS: Final[dict[str, type[Step]]] = {
    "wait_for": WaitFor,
    "say": Say,
    "backchannel": Backchannel,
    "barge_in": BargeIn,
    "play": Play,
    "wait": Wait,
    "digits": Press,
    "noise": Noise,
    "loss": Loss,
    "hang_up": HangUp,
}
"""Every kind of step by the key that it is known by; `wait_for` comes first, which may have `digits` too."""


class Expect(Table, frozen=True, kw_only=True):
    """What is expected of the whole call; None, or empty: nothing."""

    greeting: Seconds | None = None
    greeting_heard: Words = ()
    wait: Seconds | None = None
    turns: Annotated[int, Meta(ge=0)] | None = None
    heard: Words = ()
    not_heard: Words = ()
    overlap: Seconds | None = None
    digits: Digits = ""
    disclosure: bool | Words = ()
    hang_up: Literal["bot", "caller"] | None = None
    hang_up_within: Seconds | None = None
    last_heard: Words = ()
    problems: Words | None = None
    diagnosed: Words = ()
    level: tuple[Level, Level] | None = None
    clipping: Percent | None = None
    seconds: Seconds | None = None


class Bot(Table, frozen=True, kw_only=True):
    """Which bot is rehearsed; empty: the bridge's own agent."""

    url: str = ""
    protocol: Protocol | None = None
    listen: bool = False
    command: str = ""
    token: str = ""
    stt_url: str = ""
    llm_url: str = ""
    tts_url: str = ""
    prompt: str = ""
    greeting: str = ""


class Caller(Table, frozen=True, kw_only=True):
    """The caller's voice and line."""

    voice: VoiceName = "en-us"
    speed: Speed = 160
    pitch: Pitch = 50
    level: Level = -23.0
    number: Annotated[str, Meta(pattern="^[0-9]{3,15}$")] = "15550100002"
    noise: Text = "none"
    snr: Annotated[float, Meta(ge=-20, le=80)] = 20.0
    loss: Percent = 0.0
    seed: int = 1


class Scenario(Table, frozen=True, kw_only=True):
    """A scenario."""

    title: str = ""
    seconds: Annotated[float, Meta(gt=0, le=1800)] = 60.0
    tolerance: Seconds = 0.05
    stt: str = ""
    bot: Bot = Bot()
    caller: Caller = Caller()
    steps: tuple[Step, ...] = ()
    expect: Expect = Expect()
    words: dict[str, str] = {}
    line: dict[str, Any] = {}
    name: str = ""
    """Of the file, without `.toml`; not written in it."""
    file: str = ""
    """Its path, likewise."""

    def phrases(self) -> set[str]:
        """Return the words and phrases that are looked for in what the bot says."""
        found = {*self.expect.heard, *self.expect.not_heard, *self.expect.greeting_heard}
        found |= {*self.expect.last_heard}
        if not isinstance(self.expect.disclosure, bool):
            found |= {*self.expect.disclosure}
        for step in self.steps:
            found |= {*step.expect.heard, *step.expect.not_heard}
            found |= {*step.words} if isinstance(step, WaitFor) else set()
        return found
