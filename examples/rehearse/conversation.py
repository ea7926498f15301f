"""What the bot says when. A real bot has a recogniser and a model; this one answers its questions in their order."""

from ears import Ears
from speech import Pcm, spoken
from speech_queue import SpeechQueue

INTERRUPTION = 0.9  # seconds of speech that stop the bot; what is shorter ("mm-hm") does not
SILENCE = 5.0  # seconds after which it asks whether the caller is there


class Conversation:
    """One call: audio and keys in, audio out."""

    GREETING = "Hello, this is a computer."
    ANSWERS = (
        "We are open from nine to five, Monday to Saturday.",
        "It costs twenty dollars.",
        "You can pay with a card.",
    )
    REMINDER = "Are you still there?"
    LAST = "Thank you for calling, and have a nice day."

    def __init__(self, rate: int) -> None:
        self.ears, self.queue = Ears(rate), SpeechQueue(rate)
        self.keys, self.answered, self.reminded = "", 0, 0
        self.pressed_at = self.active_at = 0.0
        self.beside = self.ends = self.over = False

    def greet(self) -> None:
        self.say(self.GREETING)

    def say(self, text: str) -> None:
        self.queue.add(spoken(text, self.queue.rate))

    def press(self, key: str) -> None:
        if key == "*":
            self.say(self.LAST)
            self.ends = True
        else:
            self.keys, self.pressed_at = self.keys + key, self.queue.now

    def hear(self, pcm: Pcm) -> None:
        self.queue.now += len(pcm) / self.queue.rate
        began = not self.ears.voiced
        finished = self.ears.hear(pcm)
        if began and self.ears.voiced:
            self.beside = self.queue.speaking  # it interrupts, or is nothing but "mm-hm"
        if self.beside and self.ears.voiced > INTERRUPTION:
            self.interrupted()
        elif finished and not self.beside:
            self.answer()
        self.wait()

    def interrupted(self) -> None:
        self.beside = False
        self.queue.stop()

    def answer(self) -> None:
        self.answered, self.reminded = self.answered + 1, 0
        self.say(self.ANSWERS[(self.answered - 1) % len(self.ANSWERS)])

    def read_back(self, keys: str) -> None:
        self.say(f"You pressed {' '.join(keys)}.")

    def remind(self) -> None:
        self.reminded += 1
        self.ends = self.reminded > 1
        self.say(self.LAST if self.ends else self.REMINDER)

    def wait(self) -> None:
        now = self.queue.now
        if self.keys and now > self.pressed_at + 1:
            keys, self.keys = self.keys, ""
            self.read_back(keys)
        if self.ears.voiced or self.queue.speaking or self.keys:
            self.active_at = now
        elif now > self.active_at + SILENCE and not self.ends:
            self.remind()
        self.over = self.ends and now > self.queue.until + 0.3
