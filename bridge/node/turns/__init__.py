"""How long callers wait for the answers of bots: measured at the legs of bots, whatever they are; the turns themselves are `call.turns`.

Bots that are a WebRTC or LiveKit peer look like persons, and are not measured.
"""
