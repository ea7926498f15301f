"""Why a call has no audio: observations of its legs in, problems with their mend out.

The samples are taken in `node.diagnosis`.
"""
