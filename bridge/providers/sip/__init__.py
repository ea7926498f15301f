"""The provider that reaches telephones over the lines' SIP trunks, and the simulated telephone network.

Sockets and trunks are in `trunk`, SIP itself in `sip`.
"""
