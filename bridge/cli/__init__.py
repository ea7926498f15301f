"""Subcommands of `python -m bridge`: settings, control of a running bridge, data, WhatsApp; the doctor has a folder.

Serving is `serve` and `supervisor`.
"""
