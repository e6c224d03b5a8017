"""The windows, and the front door `pellucid`."""
