"""Media streams to customers' servers: dialled out, for inbound calls, speech-to-speech models with their functions, and what is played where a server fails.

The leg is `legs.stream`, the connection `media.stream_link`, the protocols are in `wire.stream`.
"""
