"""The SIP agent on its sockets: transports, TLS, name resolution, rates, dialling, registrations of trunks.

What SIP messages mean is in `sip`, which waits for nothing; the audio of a telephone is in `legs` and `rtc`.
"""
