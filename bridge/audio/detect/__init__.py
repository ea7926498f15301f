"""What can be heard in audio: level, voice, phrases, tones, answering machines, echo, quality.

What follows from it for a call is decided in `call` and `node`.
"""
