"""Transcripts, of live calls and of recordings, and the speech-to-text providers that lines have.

How a provider is asked is in `agent`; where transcripts are kept, in `stores.transcripts`.
"""
