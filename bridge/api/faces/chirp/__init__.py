"""Chirp's API, `/v1`: calls and their commands, participants, recordings, voicemail, webhook endpoints.

`words` has its call object; what its webhooks say is in `wire.webhook.chirp`.
"""
