"""The provider that calls over Meta's WhatsApp Business Calling API: calls out and in, and Meta's webhooks about them.

The client of the Graph API is in `whatsapp`, its messages are in `wire.cloud`.
"""
