"""The composition root: the one place where objects are made out of the settings, and joined to each other.

What is made here is started and stopped by `serve`.
"""
