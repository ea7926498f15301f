"""Transcripts as records."""

from bridge.call.transcript import Phrase, Transcribe, Transcript, TranscriptStatus, in_order


def transcript(*phrases):
    return Transcript(
        "00", "demo", Transcribe.AFTER, TranscriptStatus.COMPLETED, 0.0, 1.0, "", 0, phrases
    )


def test_phrases_are_in_the_order_of_their_beginning_without_empty_ones():
    said = [
        Phrase("outbound", 2.0, 3.0, "second"),
        Phrase("inbound", 0.0, 1.0, "first"),
        Phrase("inbound", 4.0, 5.0, ""),
    ]
    assert [phrase.text for phrase in in_order(said)] == ["first", "second"]


def test_the_text_has_a_line_for_each_phrase():
    assert transcript(Phrase("a", 0, 1, "one"), Phrase("b", 1, 2, "two")).text == "one\ntwo"


def test_the_language_is_that_of_most_phrases():
    said = [Phrase("a", 0, 1, "x", language=one) for one in ("de", "en", "en", "")]
    assert transcript(*said).language == "en"
    assert transcript().language == ""
