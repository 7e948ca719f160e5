"""The API entry's routes for programs: JSON in Deploy's envelope."""
