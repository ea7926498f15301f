"""Clients of WhatsApp's servers: Meta's Graph API, and gateways with a REST API and a PCM WebSocket.

How a line's calls are made with them is in `providers`.
"""
