"""What exists in the simulated service at any moment, and how it is told as JSON."""
