"""Greetings of persons and of answering machines, spoken by espeak-ng: what a call hears when it is answered."""

import hashlib
import io
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridge.audio.codec.g711 import MULAW
from bridge.audio.frame import SAMPLE_RATE

FOLDER = Path(__file__).parents[3] / "build" / "greetings"


@dataclass(frozen=True)
class Greeting:
    """One greeting; with a tone it is a machine's."""

    voice: str
    text: str
    person: bool
    beep_hertz: float = 0.0
    beep_seconds: float = 0.0
    pause: float = 0.6
    """Before the beep."""

    @property
    def kind(self):
        return "person" if self.person else "machine"


def _persons():
    said = [
        (
            "en-us",
            ("Hello?", "Yes, Anna speaking.", "Hi, this is John.", "Smith residence, hello?"),
        ),
        (
            "en-gb",
            ("Hello, who is this?", "Good morning!", "Yes?", "Claire here.", "Hello. Hello?"),
        ),
        ("en-gb-scotland+f3", ("Hello?", "Aye, speaking.")),
        ("en-us+f4", ("Hey, what's up?", "Yeah, hello?", "Doctor Brown's office.")),
        ("de", ("Hallo?", "Müller.", "Ja bitte?", "Schmidt, guten Tag.")),
        ("de+f2", ("Ja, hallo, Weber hier.", "Krause?")),
        ("fr", ("Allô?", "Oui, bonjour.", "Oui, j'écoute.")),
        ("es", ("¿Diga?", "Sí, dígame.", "Hola, ¿quién es?")),
        ("it+f3", ("Pronto?", "Sì, chi parla?")),
        ("pt-br", ("Alô?", "Oi, quem fala?")),
        ("nl", ("Met Jan de Vries.",)),
        ("pl+f2", ("Halo, słucham?",)),
    ]
    return [Greeting(voice, text, True) for voice, texts in said for text in texts]


def _machines():
    long = [
        ("en-us", "Hi, you've reached Anna. I can't come to the phone right now, so please leave a message after the tone."),
        ("en-us+f4", "Your call has been forwarded to an automatic voice message system. At the tone, please record your message."),
        ("en-gb", "The person you are calling is not available. Please try again later, or leave a message."),
        ("en-gb+f3", "Thank you for calling Miller and Sons. Our office is closed. Our opening hours are nine to five, Monday to Friday."),
        ("en-gb-scotland+f5", "Hello, this is the voicemail of Fiona. Leave your name and number and I'll ring you back."),
        ("en-us+m3", "You have reached the mailbox of five five five, zero one zero, nine thousand. To leave a message, wait for the beep."),
        ("de", "Guten Tag, Sie sind verbunden mit dem Anschluss von Familie Müller. Bitte hinterlassen Sie eine Nachricht nach dem Signalton."),
        ("de+f2", "Der gewünschte Gesprächspartner ist zurzeit nicht erreichbar. Bitte sprechen Sie nach dem Ton."),
        ("fr", "Bonjour, vous êtes bien sur la messagerie de Pierre. Laissez un message après le bip sonore."),
        ("fr+f3", "Le correspondant que vous demandez n'est pas disponible pour le moment. Veuillez rappeler plus tard."),
        ("es", "Ha llamado al buzón de voz de Carlos. Por favor, deje su mensaje después de la señal."),
        ("es+f2", "El teléfono al que llama está apagado o fuera de cobertura. Inténtelo más tarde."),
        ("it+f3", "Risponde la segreteria telefonica di Marco. Lasciate un messaggio dopo il segnale acustico."),
        ("pt-br", "Você ligou para a caixa postal. Deixe o seu recado após o sinal, e retornaremos a ligação."),
        ("nl", "U bent verbonden met de voicemail van Jan de Vries. Spreek een bericht in na de piep."),
        ("pl+f2", "Dodzwoniłeś się do poczty głosowej. Zostaw wiadomość po usłyszeniu sygnału."),
    ]  # fmt: skip
    beeps = [(1000, 0.5), (440, 1.0), (800, 0.3), (1400, 0.4), (950, 0.9), (2100, 0.25), (0, 0)]
    made = [
        Greeting(voice, text, False, *beeps[index % len(beeps)])
        for index, (voice, text) in enumerate(long)
    ]
    short = [
        Greeting("en-us", "Leave a message.", False, 1000, 0.6, pause=0.4),
        Greeting("de", "Bitte sprechen.", False, 850, 0.5, pause=0.3),
        Greeting("fr+f3", "Laissez un message.", False, 620, 1.2, pause=0.5),
    ]
    return made + short


GREETINGS = (*_persons(), *_machines())


def spoken(greeting):
    """Return the speech of a greeting at 16 kHz, floats of full scale 1; made once and kept."""
    name = hashlib.sha256(f"{greeting.voice} {greeting.text}".encode()).hexdigest()[:16]
    path = FOLDER / f"{name}.npy"
    if not path.exists():
        made = subprocess.run(
            ["espeak-ng", "-v", greeting.voice, "--stdout", greeting.text],
            capture_output=True,
            check=True,
        ).stdout
        FOLDER.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{id(greeting)}.npy")
        np.save(partial, _samples(made))
        partial.replace(path)
    return np.load(path)


def heard(greeting, variant="clean", *, seed=0):
    """Return what a call hears, as 16-bit samples, and when the beep is over (None without one)."""
    chance = np.random.default_rng([seed, *greeting.text.encode()])
    speech = spoken(greeting) * 10 ** (chance.uniform(-26, -17) / 20) * 5
    parts = [_silence(chance.uniform(0.2, 1.2)), speech]
    beep_over = None
    if greeting.beep_hertz:
        at = np.arange(round(greeting.beep_seconds * SAMPLE_RATE)) / SAMPLE_RATE
        parts += [_silence(greeting.pause), 0.15 * np.sin(2 * np.pi * greeting.beep_hertz * at)]
        beep_over = sum(map(len, parts)) / SAMPLE_RATE
    sound = np.concatenate([*parts, _silence(6.0)])
    noise = {"noise": 0.004, "loud noise": 0.012}.get(variant, 0.0003)
    sound = sound + noise * chance.standard_normal(len(sound))
    if variant == "voices behind":
        sound = sound + _voices(chance, len(sound))
    if variant == "g711":
        sound = _telephone(sound)
    if variant == "clipped":
        sound = sound * 6
    if variant == "quiet":
        sound = sound / 4
    return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes(), beep_over


VARIANTS = ("clean", "noise", "loud noise", "g711", "clipped", "quiet", "voices behind")


def _voices(chance, count):
    """Return a room with people who talk, about 20 dB softer than the greeting."""
    sound = np.zeros(count)
    for index in chance.integers(0, len(GREETINGS), 6):
        voice = spoken(GREETINGS[index]) * 0.03
        sound += np.roll(np.resize(voice, count), int(chance.integers(0, count)))
    return sound


def _silence(seconds):
    return np.zeros(round(seconds * SAMPLE_RATE))


def _samples(wav):
    with wave.open(io.BytesIO(wav)) as file:
        rate = file.getframerate()
    # Written to a pipe, the file's header has no length.
    samples = np.frombuffer(wav[44 : len(wav) - len(wav) % 2], "<i2") / 32768
    return _resampled(samples, round(len(samples) * SAMPLE_RATE / rate)).astype(np.float32)


def _resampled(samples, count):
    spectrum = np.fft.rfft(samples)
    wanted = np.zeros(count // 2 + 1, complex)
    common = min(len(spectrum), len(wanted))
    wanted[:common] = spectrum[:common]
    return np.fft.irfft(wanted, count) * (count / len(samples))


def _telephone(sound):
    """Pass samples through a telephone line: 300 to 3400 Hz, µ-law."""
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    narrow = _resampled(np.fft.irfft(spectrum, len(sound)), len(sound) // 2)
    pcm = (np.clip(narrow, -1, 1) * 32767).astype("<i2").tobytes()
    coded = np.frombuffer(MULAW.decode(MULAW.encode(pcm)), "<i2") / 32768
    return _resampled(coded, len(sound))
