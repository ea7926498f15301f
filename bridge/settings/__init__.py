"""Settings: the TOML file and the environment, one file for each subject, checked before anything starts.

Objects are made out of them in `app`; what a line's customer sets at run time is in `node.lines`.
"""
