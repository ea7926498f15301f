"""Parsers and serializers of wire formats: RTP, SDP, messages of streams, webhooks, WhatsApp's servers, nodes. Pure.

Nothing is sent or received here. SIP has a package of its own.
"""
