"""What every route stands on: operations, fields, keys, limits, middleware, pages.

No route of the API is declared here.
"""
