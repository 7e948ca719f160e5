"""Gets a job's source and makes the build context of it. Nothing of it ever becomes a file or link of
its own on this host: trees are read out of git's packs or out of the archive, and written to a tar.
"""  # noqa: D205 - one thought

from __future__ import annotations
