"""Tokens by which programs act for an account."""
