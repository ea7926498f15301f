"""What a call knows of its bots: turns, and which of them may be heard yet; pure.

Who has been told that a machine speaks is `call.disclosure`; what is wrong with a bot is `call.diagnosis`.
"""
