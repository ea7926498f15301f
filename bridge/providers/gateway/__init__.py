"""The provider that calls over a WhatsApp engine with a REST API and a PCM WebSocket."""
