"""Migrations of the API entry."""
