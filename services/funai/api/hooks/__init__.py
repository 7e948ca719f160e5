"""Hooks that git servers call: who may call them, and which push makes a job."""
