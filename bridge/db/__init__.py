"""The two database engines, SQLite and PostgreSQL, behind one interface: sessions, writer, readers, migrations, schema, spool.

It knows engines and transactions. The statements about each table are in `stores`.
"""
