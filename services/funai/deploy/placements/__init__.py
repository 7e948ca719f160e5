"""Placements: which node an app runs on, and how the first one is chosen."""
