"""Buildbot: the REST API of a master."""
