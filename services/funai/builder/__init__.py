"""Builds images from users' Dockerfiles: unprivileged, limited, one process for one build.

See docs/decisions/0053-builder.md.
"""
