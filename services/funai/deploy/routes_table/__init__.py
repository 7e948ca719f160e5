"""The edge's route table: which node's gateway serves which app."""
