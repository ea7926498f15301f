"""ZuckZapGo's older call signalling, which carries no audio.

Its newer routes are the native ones: its socket for PCM is `api.media.media_socket`, with the format
`wire.stream.media_format.ZUCKZAPGO`.
"""
