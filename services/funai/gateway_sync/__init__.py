"""gateway_sync: keeps the edge's map equal to Deploy's route table."""
