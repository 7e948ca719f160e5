"""Apps of this node: what should run, and the operations that get there."""
