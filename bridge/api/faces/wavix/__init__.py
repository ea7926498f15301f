"""Wavix's API, `/v1/call`: calls, audio and digits, streams, numbers, recordings, transcripts, call webhooks.

`words` has its call object; what its webhooks say is in `wire.webhook.wavix`.
"""
