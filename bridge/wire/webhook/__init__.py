"""Events as each vendor's webhooks have them."""
