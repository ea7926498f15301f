"""WADial's API, `/api/v1`: calls of a session, audio assets, media sockets, recordings, events, webhook endpoints.

`words` has its call object; what its webhooks say is in `wire.webhook.wadial`.
"""
