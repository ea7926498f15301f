"""Routes of lines: settings, keys, WhatsApp's webhooks, gateways' webhooks, simulated contacts."""
