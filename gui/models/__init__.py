"""Qt item models over the plain state."""
