"""Session descriptions (RFC 8866), audio only: reading, answering and offering, for browsers and for telephones.

Peers that keep to them are in `rtc`.
"""
