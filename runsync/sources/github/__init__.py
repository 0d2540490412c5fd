"""GitHub Actions: the REST API."""
