"""The composition root: the one place where every object is made and joined to the others."""
