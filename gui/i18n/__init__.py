"""Translations: one .ts file a language, compiled to the .qm file that the window loads."""
