"""Runners: who asked for work lately."""
