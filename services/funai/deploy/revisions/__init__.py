"""Revisions: what ran of an app, what runs now, and the way back."""
