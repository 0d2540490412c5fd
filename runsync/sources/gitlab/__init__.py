"""GitLab CI: the REST API."""
