"""Logs of jobs: taken from runners exactly once, kept bounded, followed live."""
