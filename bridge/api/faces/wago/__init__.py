"""WaGo's routes of calls that the native API lacks: `/call/make`, `/call/end`, `/call/list`.

The others that its clients use are native ones.
"""
