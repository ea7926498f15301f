"""Disclosures: who in a call knows that a machine speaks, and how the statement is spoken; pure.

Who hears whom is `call.routing`.
"""
