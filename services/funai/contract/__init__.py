"""Words of the wire that more than one service uses (docs/contract.md). Pure: no I/O, no clock."""
