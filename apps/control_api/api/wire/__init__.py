"""What travels over HTTP: families of types, apart from the rows of the database."""
