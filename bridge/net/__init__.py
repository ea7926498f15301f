"""Connections to and from the node: HTTP, DNS, webhooks, WhatsApp, other nodes; and SQLite."""
