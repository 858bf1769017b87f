"""Tokens of outside identity providers: by a row for each franchise that takes them, verified by the provider's published keys."""
