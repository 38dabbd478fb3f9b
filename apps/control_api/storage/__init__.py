"""The database and the files: tables, migrations, paths."""
