"""The database: connections, locks, schema, and the rows of runs and steps."""
