"""SIP messages (RFC 3261 sections 7 and 20): parsing, serializing, header fields, bodies, framing on streams.

Nothing here knows of transactions or dialogs.
"""
