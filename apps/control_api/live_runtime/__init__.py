"""The live runtime: text to a talking avatar at a client. It sees no database."""
