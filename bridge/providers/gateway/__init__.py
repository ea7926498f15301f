"""The provider that calls over a WhatsApp gateway with a REST API and a PCM WebSocket, and follows its events.

The client is in `whatsapp`, the messages are in `wire.gateway`.
"""
