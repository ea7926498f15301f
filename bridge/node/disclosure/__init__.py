"""Tells persons in calls that they hear a machine: which legs that concerns, what is said, and what if it cannot be said.

Who has been told is `call.disclosure.told`, the leg that says it `node.disclosure.leg`.
"""
