"""How a line reaches WhatsApp: one folder for each provider."""
