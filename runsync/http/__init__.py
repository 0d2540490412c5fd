"""One HTTP client for all sources: requests, connections, limits, and what may be shown of them."""
