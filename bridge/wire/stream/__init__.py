"""The protocols of media streams and media sockets: messages to a customer's server, and from it.

The connection is `media.stream_link`, the leg `legs.stream`.
"""
