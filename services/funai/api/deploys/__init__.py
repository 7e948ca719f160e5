"""Deploying apps for their owners, and what these may see of it."""
