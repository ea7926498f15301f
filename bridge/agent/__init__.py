"""Voice agents without a call: turn detection, questions, speech and language providers, what is said next.

The leg that talks in a call is `legs.agent`, and what adds one to a call `node.calls.agent`. Speech-to-speech models are
streams: `wire.stream.realtime`, and their functions `node.streams.tools`.
"""
