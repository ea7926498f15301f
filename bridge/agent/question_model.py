"""The demonstration's language model: it finds the question and looks up the answer."""

from collections.abc import AsyncGenerator, Callable, Sequence

from bridge.agent.answers import NOT_UNDERSTOOD, CallSituation, answer
from bridge.agent.providers import HangUp, Message
from bridge.agent.questions import Question, question_of


class QuestionModel:
    """Answers questions about one call; implements `providers.LanguageModel`."""

    def __init__(self, situation: Callable[[], CallSituation]) -> None:
        """Make it; `situation` returns how the call stands now."""
        self._situation = situation

    async def reply(
        self, system: str, messages: Sequence[Message]
    ) -> AsyncGenerator[str | HangUp, None]:
        """Answer the last message; after a goodbye, hang up."""
        said = [message.content for message in messages if message.role == "assistant"]
        asked = [message.content for message in messages if message.role == "user"]
        question = question_of(asked[-1]) if asked else None
        if question is None:
            yield NOT_UNDERSTOOD
        elif question is Question.REPEAT and said:
            yield said[-1]
        else:
            yield answer(question, self._situation())
        if question is Question.GOODBYE:
            yield HangUp()
