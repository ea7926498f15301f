"""What a call knows about its bots: their turns, and which of them are held; pure.

Disclosures are `call.disclosure`, problems of bots `call.diagnosis`.
"""
