"""Voicemail: greetings, the call that records a message, its transcript, the mailbox.

The rules of a message are in `call.voicemail`, its leg in `legs.voicemail`, its rows in `media.voicemails`.
"""
