"""How an agent's sentences get into its speech."""

from bridge.agent.speaker import Speaker
from bridge.agent.speech_queue import SpeechQueue
from tests.support.sound.agent_talk import Minds


async def test_a_text_is_spoken_sentence_by_sentence():
    minds, speech = Minds(), SpeechQueue()
    began: list[float] = []
    speaker = Speaker(speech, minds, now=lambda: 7.0, began=began.append)
    await speaker.say("One. Two.")
    assert minds.spoken() == ["One.", "Two."]
    assert began == [7.0, 7.0]
    assert speech.speaking
