"""Pictures for the eye: decoded and shrunk in a process of their own, drawn from mapped files."""
