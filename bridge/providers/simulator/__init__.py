"""The provider whose contacts live inside the process.

What a contact does is in `legs.simulator`; simulated telephones are in `providers.sip`.
"""
