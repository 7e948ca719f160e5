"""API entry: what users and operators reach, in a browser and by programs."""
