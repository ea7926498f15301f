"""The questions about a call that the demonstration understands.

Two forms of the same set: `GRAMMAR` tells the recogniser which sentences to expect, and `question_of` finds the
question in a text, whoever wrote it.
"""

import re
from enum import StrEnum
from typing import Final


class Question(StrEnum):
    """What a caller may ask."""

    QUALITY = "quality"
    PROBLEM = "problem"
    SILENCE = "silence"
    """Why the caller hears nothing."""
    HEARD = "heard"
    """Whether the caller is heard."""
    IDENTITY = "identity"
    CALLS = "calls"
    DURATION = "duration"
    DELAY = "delay"
    LOSS = "loss"
    RECORDING = "recording"
    NUMBER = "number"
    CODEC = "codec"
    HELP = "help"
    REPEAT = "repeat"
    HELLO = "hello"
    THANKS = "thanks"
    GOODBYE = "goodbye"


GRAMMAR: Final = """#JSGF V1.0;
grammar questions;
<opening> = hello | okay | please;
<the> = this | the | my;
<call> = call | connection | line | sound | audio;
<with> = with <the> <call> | here;
<whom> = anything | you | them | anybody;
<quality> = how (good | bad) is <the> <call> | how is <the> <call> [quality]
  | (what | how) is the [call | sound | audio] quality [of this call] | how good is the quality
  | is <the> <call> (good | bad | okay);
<problem> = what is wrong [<with>] | is (anything | something) wrong [<with>]
  | what is the problem [<with>] | is there (a | any) problem [<with>]
  | why is <the> <call> [so] (bad | poor);
<silence> = why do i not hear <whom> | why do i hear nothing | why (can i not | can't i) hear <whom>
  | i (can not | cannot | can't | do not | don't) hear <whom> | (why is there | there is) no (sound | audio);
<heard> = (can | do) you hear me | why (do | can) you not hear me | how loud am i;
<identity> = who am i (talking | speaking) (to | with) | who are you | what are you | who is (this | there)
  | what is this | what is your name;
<calls> = how many calls (are there | are active | are running | do you have) [now] | how busy (are you | is the bridge);
<duration> = how long have we (talked | been talking | spoken) | how long is this call
  | how long have i been talking;
<delay> = (how long | how big | how high | what) is the (delay | round trip | latency);
<loss> = how many packets (are | were) lost | what is the packet loss;
<recording> = [can you] record this call | can i be recorded | can this call be recorded
  | am i [being] recorded | is this call [being] recorded;
<number> = what is my [phone | telephone] number | what is my line | which (line | number) is this
  | which line am i on;
<codec> = (which | what) codec (do we use | are we using | is this | is used);
<help> = help [me] | what can you do [for me] | what can i (ask | say) [you] | what do you understand;
<repeat> = repeat (that | it) | (say | repeat) that again | what did you say | once more;
<hello> = hello | hi there | good morning | good day;
<thanks> = thank you [very much] | thanks a lot;
<goodbye> = goodbye | good bye | bye bye | hang up [now];
public <question> = (/1/ <NULL> | /0.001/ <opening>) (<quality> | <problem> | <silence> | <heard> | <identity> | <calls> | <duration>
  | <delay> | <loss> | <recording> | <number> | <codec> | <help> | <repeat> | <hello> | <thanks> | <goodbye>)
  [please];
"""
"""The sentences to expect (JSpeech Grammar Format)."""

PRONUNCIATIONS: Final = {"codec": "K OW D EH K"}
"""The words of the grammar that the CMU dictionary lacks, in its phones."""

_NOT: Final = r"(?:not|n't|nothing|cannot|never|nobody|no one)"
_CALL: Final = r"(?:call|connection|line|audio|sound|quality|voice)"
_PATTERNS: Final = tuple(
    (question, re.compile(rf"\b(?:{pattern})"))
    for question, pattern in (
        (Question.REPEAT, r"repeat|(?:say|tell me) (?:that|it|this) again|again please|pardon\b|what did you say|once more"),
        (Question.GOODBYE, r"good ?bye|bye\b|hang up|end (?:the|this) call|see you"),
        (Question.RECORDING, r"record"),
        (Question.HEARD, r"(?:can|do|could|did|why (?:can|do)(?:n't| not)?) you (?:not )?hear|you (?:hear|understand) me|how loud am i"),
        (Question.SILENCE, rf"{_NOT} (?:\w+ )?hear|\w+n't (?:\w+ )?hear|hear (?:\w+ )?{_NOT}|no (?:sound|audio|voice)|(?:is|are) (?:\w+ )?silent"),
        (Question.CODEC, r"codec|encod"),
        (Question.DELAY, r"delay|latency|round[ -]trip|lag\b"),
        (Question.LOSS, r"packets?\b|loss\b|lost\b"),
        (Question.CALLS, r"how many (?:\w+ )?(?:calls|callers|people)|how busy|other calls"),
        (Question.DURATION, r"how (?:long|much time) (?:have|has|is this|was|did|do)|duration|since when"),
        (Question.PROBLEM, rf"wrong|problem|faults?\b|broken|why (?:is|does|do|are) (?:\w+ )*{_CALL}"),
        (Question.NUMBER, r"(?:my|phone|telephone|which|what) (?:\w+ )?number|(?:which|what) line|what is my line"),
        (Question.QUALITY, rf"(?:how|is|what|rate) (?:\w+ )*{_CALL}|mos\b|opinion score"),
        (Question.HELP, r"help|what (?:can|could|should|may) (?:you|i)|what do you (?:understand|know)|what else"),
        (Question.IDENTITY, r"who (?:am i|are you|is (?:this|that|there))|what (?:are you|is this|is that)|your name|are you (?:a|an|real|human)\b"),
        (Question.THANKS, r"thank"),
        (Question.HELLO, r"hello|hi\b|hey\b|good (?:morning|day|evening|afternoon)"),
    )
)  # fmt: skip


def question_of(text: str) -> Question | None:
    """Return what a text asks; None if it is none of the questions."""
    spoken = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    spoken = re.sub(r"\b(what|who|how|where)'s\b", r"\1 is", spoken)
    spoken = " ".join(re.findall(r"[a-z0-9'-]+", spoken))
    return next((question for question, pattern in _PATTERNS if pattern.search(spoken)), None)
