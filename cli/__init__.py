"""The command line for looking at a platform; ``fabfile.py`` names its tasks."""
