"""A believable history, drawn from a seed."""
