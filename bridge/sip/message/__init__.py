"""SIP messages: parsing, serializing, header fields, bodies, framing on streams (RFC 3261 sections 7 and 20)."""
