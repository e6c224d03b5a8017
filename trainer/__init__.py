"""Makes models: one loop, its steps, its data, and the run folder that is the truth."""
