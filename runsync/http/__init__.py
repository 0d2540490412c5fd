"""One HTTP client for all sources."""
