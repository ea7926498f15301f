"""What is kept in the database, one file for the rows of each subject: statements and the records they return.

It decides nothing about calls, and opens no connection of its own: `db` runs what is here. The rows of voicemail and assets
are in `media`, those of lines in `node`.
"""
