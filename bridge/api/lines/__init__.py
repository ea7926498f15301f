"""Routes of lines: settings, keys, simulated contacts, and what WhatsApp's servers and gateways send.

What follows from a line's settings is in `node.lines`.
"""
