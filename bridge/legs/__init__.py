"""Every kind of leg, each a source and a sink for the bus, and the parts that they are made of; no kind knows another.

How a provider is asked for a leg is in `providers`, RTP in `rtp`, and who adds a leg to a call in `node`.
"""
