"""Retention: which built images stay deployable, and the removal of the others."""
