"""runtime-agent: runs the users' apps of one node and owns the node's routes."""
