"""Telling the persons of a call that they hear a machine: who has been told, and a disclosure as it is spoken; pure.

Who hears whom is `call.routing`.
"""
