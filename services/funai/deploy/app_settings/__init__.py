"""Settings of apps: port, health path, environment and limits."""
