"""Notifications: tells receivers that an operator declared what happened to jobs, apps and nodes."""
