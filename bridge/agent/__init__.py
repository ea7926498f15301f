"""Voice agents without a call: turn detection, questions, speech and language providers, what is said next.

The leg that talks in a call is `legs.agent`, and what adds one to a call `node.calls.agent`.
"""
