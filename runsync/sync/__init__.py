"""Sources and storage meet here: the engine that brings runs into the database, and the audit."""
