"""Job events: who did what to a job, when, from which status to which, and why."""
