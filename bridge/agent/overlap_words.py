"""Word lists that tell backchannels from interruptions in a transcript."""

import re
from typing import Final, NamedTuple

from bridge.audio.detect.overlap import OverlapKind


class Words(NamedTuple):
    """The words of one language, in lower case."""

    agree: frozenset[str]
    """A text of these alone is a backchannel."""
    stop: frozenset[str]
    """A text with one of these is an interruption."""


def _words(agree: str, stop: str) -> Words:
    return Words(frozenset(agree.split()), frozenset(stop.split()))


WORDS: Final = {
    "de": _words(
        "mhm hm hmm mm aha ah ach ja jaja jo genau okay ok klar richtig gut so stimmt verstehe schön",
        "nein stopp stop halt moment warte warten warum entschuldigung aber falsch",
    ),
    "en": _words(
        "mhm mm hm hmm uh huh aha ah oh yeah yep yes yup okay ok right sure i see good great got it",
        "no stop wait hold but sorry excuse what why wrong hang",
    ),
    "es": _words(
        "mhm hm mm ajá aja ah sí si claro vale ya bien okay ok bueno exacto entiendo",
        "no para pare alto espera espere basta perdón perdone pero momento",
    ),
    "fr": _words(
        "mhm hm mm hum ah oui ouais d'accord ok okay voilà bien sûr hein exact je vois",
        "non stop arrête arrêtez attends attendez pardon excusez mais moment",
    ),
    "it": _words(
        "mhm hm mm ah sì si certo okay ok va bene giusto esatto capisco già",
        "no stop basta aspetta aspetti fermo ferma scusi scusa ma momento",
    ),
    "pt": _words(
        "mhm hm mm uhum aham ah sim tá está certo claro pois okay ok é bem isso entendo",
        "não para pare espera espere chega basta desculpe mas momento",
    ),
}  # fmt: skip
"""By language (ISO 639-1)."""


def classify(text: str, language: str) -> OverlapKind | None:
    """Return the kind of a text; None if its words do not decide, or the language has no list."""
    words = WORDS.get(language)
    said = re.findall(r"[\w']+", text.lower().replace("’", "'"))  # noqa: RUF001
    if words is None or not said:
        return None
    if not words.stop.isdisjoint(said):
        return OverlapKind.INTERRUPTION
    return OverlapKind.BACKCHANNEL if words.agree.issuperset(said) else None
