"""The languages that come with patterns and refusal phrases: one folder each, named by its ISO 639-1 code."""

from importlib.resources import files

FOLDER = "workflow/falserefusal/labelling/languages"  # of this package, from the root of a checkout
PATTERNS, PHRASES = "patterns.yaml", "refusal_phrases.txt"


def languages(name: str = PATTERNS) -> tuple[str, ...]:
    """Codes of the languages that have the file `name`."""
    folders = (folder for folder in files(__package__).iterdir() if folder.is_dir())
    return tuple(sorted(folder.name for folder in folders if (folder / name).is_file()))


def file_of(language: str, name: str) -> str | None:
    """Path of a language's file from the root of the checkout; None if the language has no such file."""
    return f"{FOLDER}/{language}/{name}" if language in languages(name) else None
