"""A scenario: what a caller does, and what is expected of the bot. Pure; `scenario_file` reads it.

At the top of the file:

| key | is |
|---|---|
| `title` | one line for reports; default: the file's name |
| `seconds` | the call is ended after so many seconds, and fails; default 60 |
| `tolerance` | seconds that are added to every time that is expected; default 0.05 |
| `stt` | URL of a speech-to-text provider that hears the words; default: pocketsphinx, which knows English only |
| `[bot]` | which bot is rehearsed; options of the command line come first |
| `[caller]` | the caller's voice and line |
| `[[steps]]` | what the caller does, one after the other; after the last one it hangs up |
| `[expect]` | what is expected of the whole call; what is left out is not checked |
| `[words]` | phones of words that the CMU dictionary lacks, as in `codec = "K OW D EH K"` |
| `[line]` | settings of the line that is called, as below `[lines.NAME]` in the bridge's settings; of the demonstration's agent `[line.agent]` and `[line.disclosure]` only |

`[bot]`:

| key | is |
|---|---|
| `url` | `ws://` or `wss://`: the bridge connects to it when the call is answered. `{port}` in it and in `command` is a free port, the same in both |
| `protocol` | `native`, `wavix`, `twilio`, `openai-realtime` with `url`; `native`, `zuckzapgo`, `wadial` with `listen`; `agent`: the bridge's own agent (the default where there is no `url`) |
| `listen` | true: the bot connects to the bridge; the call rings until it has |
| `command` | starts the bot, where `python` is the one that runs the bridge; with `url` once for all calls, with `listen` once for each call, with BRIDGE_URL, BRIDGE_KEY, BRIDGE_CALL_ID and BRIDGE_MEDIA_URL in its environment |
| `token` | sent as `Authorization: Bearer` to the providers of the agent, and to a realtime model |
| `stt_url`, `llm_url`, `tts_url`, `prompt`, `greeting` | the bridge's own agent; without providers, the demonstration's |

`[caller]`; `say`, `barge_in` and `backchannel` take the first four too:

| key | is |
|---|---|
| `voice` | an espeak-ng voice, as `en-us`, `de`, `en+f3`; default `en-us` |
| `speed` | words a minute; default 160 |
| `pitch` | 0 to 99; default 50 |
| `level` | of the speech, in dB relative to full scale; default -23 |
| `number` | digits; default 15550100002 |
| `noise`, `snr` | as of the step `noise`, from the beginning on; default none |
| `loss` | as of the step `loss`, from the beginning on; default 0 |
| `seed` | of noise and loss; default 1, `--seed` comes first |

Each of `[[steps]]` has one of these keys, and may have those after it:

| step | the caller |
|---|---|
| `say = "text"` | says it. `voice`, `speed`, `pitch`, `level` |
| `play = "file.wav"` | plays a WAV file, found beside the scenario; `level` (default: as it is) |
| `wait = 1.5` | is silent for so many seconds |
| `wait_for = "answer"` | waits until the bot begins to answer what the caller said last; at the beginning, to greet. `within` (15): fails after so many seconds |
| `wait_for = "answer_end"` | waits until the bot has answered, and has then been silent for `silence` (1.0) seconds. `within` |
| `wait_for = "silence"` | waits until the bot has been silent for `silence` (1.0) seconds, whether it has answered or not. `within` |
| `wait_for = "words"` | waits until the bot has said one of `words`, a list; found at the end of a sentence. `within` |
| `wait_for = "digits"` | waits until the bot has sent `digits`. `within` |
| `wait_for = "hang_up"` | waits until the bot hangs up. `within` |
| `digits = "12#"` | presses keys, one every `gap` (0.25) seconds |
| `backchannel = "mm-hm"` | waits until the bot has spoken for `after` (1.0) seconds, and says it. It asks nothing: what the bot goes on with is no answer. `within`, and as `say` |
| `barge_in = "Stop."` | waits until the bot has spoken for `after` (1.0) seconds, and says it. `within`, and as `say` |
| `noise = "pink"` | has from now on a noise behind it: `white`, `pink`, `hum`, `babble`, `none`, or a WAV file. `snr` (20): dB below the voice's `level` |
| `loss = 5` | loses from now on so many percent of its frames |
| `hang_up = true` | hangs up |

Every step may have `expect`, as `expect.wait = 1.2`:

| key | is expected |
|---|---|
| `wait` | of `say`, `play`, `barge_in`: the first word of the answer at most so many seconds after the caller's last, as the event `turn` says |
| `heard` | each of these words, or phrases, in what the bot says from this step until the caller's next word |
| `not_heard` | none of them |
| `interrupted` | of `barge_in`: the bot is silent at most so many seconds after the caller began |
| `goes_on` | of `backchannel`: true: the bot speaks on, or again within 1 s |
| `kind` | of `backchannel` and `barge_in`: the bridge takes it for `backchannel`, `interruption` or `noise`, as the event `overlap.ended` says |
| `silent` | true: the bot says nothing during this step |

`[expect]`:

| key | is expected |
|---|---|
| `greeting` | the bot speaks within so many seconds of the answer, before the caller does |
| `greeting_heard` | words of the greeting, so that neither its beginning nor its end is cut |
| `wait` | as of steps, of every answer |
| `turns` | so many answers |
| `heard`, `not_heard` | as of steps, in the whole call |
| `overlap` | bot and caller speak at once for at most so many seconds at a stretch; `barge_in` and `backchannel` are left out |
| `digits` | what the bot sends |
| `disclosure` | true: the bridge speaks its disclosure, and the bot is heard only after it; a list: words of what is heard first |
| `hang_up` | `"bot"` or `"caller"`: who hangs up |
| `hang_up_within` | at most so many seconds after the bot's last word |
| `last_heard` | words of what the bot says last, so that its end is not cut |
| `problems` | the diagnosis finds nothing but these codes; `[]`: nothing. `bridge_overloaded` is left out, which is the machine's |
| `diagnosed` | the diagnosis finds each of these codes |
| `level` | two numbers: the bot's speech is between them, in dB relative to full scale |
| `clipping` | at most so many percent of its samples are at full scale |
| `seconds` | the call lasts so long at most |
"""

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
    "native", "wavix", "twilio", "openai-realtime", "zuckzapgo", "wadial", "agent"
]
DIALLED: Final = ("native", "wavix", "twilio", "openai-realtime")
"""The protocols of bots that the bridge connects to."""
LISTENING: Final = ("native", "zuckzapgo", "wadial")
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
