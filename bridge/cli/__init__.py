"""Commands of `python -m bridge` beside serving."""
