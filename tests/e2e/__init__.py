"""A browser on the live lab, as people meet the platform."""
