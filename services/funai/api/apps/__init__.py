"""Apps and whose they are."""
