"""What can be done with a live call beside its bus: browsers, transfers, hold, playback, digits, participants, agents.

A call's own state and its commands are in `call.machine`; recordings, streams, voicemail and transcripts have folders of their own.
"""
