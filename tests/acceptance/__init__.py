"""Acceptance of a running platform, whichever inventory names it."""
