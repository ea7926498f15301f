"""What every route stands on: operations, fields, keys, limits, middleware, pages.

No route is declared here.
"""
