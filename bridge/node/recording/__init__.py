"""Recordings of live calls: starting, tracks, rules, events about what became of them, recovery after a crash.

Files, copies and storage are in `media.recording`; the leg that hears the call is `legs.recording`.
"""
