"""Speaks disclosures in calls: which legs need one, what it says, and what happens if it cannot be spoken.

Who has heard it is `call.disclosure.told`; the leg that speaks it is `node.disclosure.leg`.
"""
