"""ZuckZapGo's older call signalling, which carries no audio.

Its newer routes are the native ones.
"""
