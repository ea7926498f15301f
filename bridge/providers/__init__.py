"""How a far party is reached: one folder for each provider, and in `base` which of them a line uses.

The legs that they make are in `legs`, the clients of their servers in `whatsapp` and `trunk`.
"""
