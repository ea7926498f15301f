"""The messages of LiveKit's client SDKs: protobuf, as in the package `livekit-protocol`; only what a call of two parties needs."""
