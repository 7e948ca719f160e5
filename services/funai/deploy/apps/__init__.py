"""Apps: what is last known of them, and stopping and removing them."""
