"""The history as files: what `runsync export` writes."""
