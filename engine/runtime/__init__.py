"""The backends: each opens a model as a session that turns tiles into larger tiles."""
