"""SIP without sockets, clock or DNS (RFC 3261): bytes and commands in, bytes and events out.

`core.SipCore` is what the sockets drive; `boundary` says what goes in and comes out. `receiver` sorts what
arrives: to `transactions`, to the `call` whose dialog it belongs to, or, by `inbound`, to a new one. A call is
an `invite_out` or `invite_in`, then `offers`, `session_timer` and `transfer`, which share a `session`.
"""
