"""The provider that calls over Meta's WhatsApp Business Calling API."""
