"""Reaching telephones over the lines' SIP trunks."""
