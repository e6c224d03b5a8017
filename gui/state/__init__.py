"""What the windows know, as plain values: reducers `(state, message) -> state` without Qt."""
