"""Events as each vendor's webhooks have them.

Their delivery is in `webhooks`.
"""
