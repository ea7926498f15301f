"""Signalling for LiveKit's client SDKs: they join a call as they join a room. It is no LiveKit server: one call, two parties, audio."""
