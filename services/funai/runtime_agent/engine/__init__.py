"""The container engine of the node: containers, their network, images and registries."""
