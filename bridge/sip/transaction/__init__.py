"""SIP transactions and their timers (RFC 3261 section 17), for clients and servers.

Dialogs and calls are in `sip`.
"""
