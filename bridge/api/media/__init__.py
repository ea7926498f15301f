"""Routes of a call's audio: WebRTC, sockets, streams, playback, recordings, transcripts, voicemail, agents.

The audio itself goes from leg to leg over `call.bus`, not through here.
"""
