"""Nodes: the hosts that run the users' apps, as operators declare and agents report them."""
