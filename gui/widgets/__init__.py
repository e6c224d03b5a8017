"""Widgets that draw what they are told and say what the user did; they know no worker."""
