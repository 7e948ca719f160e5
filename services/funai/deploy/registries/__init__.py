"""Image registries: removing what the platform pushed, and nothing else."""
