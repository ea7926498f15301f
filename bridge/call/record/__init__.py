"""What is kept and published of a call: its quality over time, and once it has ended its report and what is searched.

The tables are in `stores.calls`.
"""
