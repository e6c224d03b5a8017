"""Large pictures through small tiles: the plan (pure integers), and the run that pulls tiles through a session."""
