"""How long callers wait for the answers of bots: measured at the legs of bots, whatever they are; the turns themselves are `call.bots.turns`.

A bot that is a WebRTC or LiveKit peer looks like a person, unless who makes its leg says that it is a `machine`.
"""
