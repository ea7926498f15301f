"""What a call is: its model, the events that move it, the commands it answers with, routing, policy, limits. Pure.

What performs the commands is `node.runner`; legs that make the events are in `legs`.
"""
