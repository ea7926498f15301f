"""Voicemail: greetings, the call that records a message, its transcript, the mailbox."""
