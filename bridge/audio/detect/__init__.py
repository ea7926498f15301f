"""What can be heard in audio: level, voice, phrases, tones, answering machines, echo, quality."""
