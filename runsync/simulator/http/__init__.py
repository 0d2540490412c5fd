"""The service over HTTP: its routes, its socket, and the faults that can be ordered."""
