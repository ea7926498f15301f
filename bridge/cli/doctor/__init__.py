"""`python -m bridge doctor`: checks the settings, the machine and what the bridge depends on.

`command` runs the checks listed in `checks`, each in the file of its subject. What a measurement means is
evaluated by plain functions, apart from the measuring. `findings` is the report.
"""
