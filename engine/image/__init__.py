"""Pictures in files: reading them whole, writing them row by row, and all that a file says beside its pixels."""
