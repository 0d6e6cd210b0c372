"""Everything lacbench raises on purpose.

LacbenchError                 one sentence: what, expected, got, what to do
├── InputError                what the caller handed us cannot be used
│   ├── ImageError            bytes that are no picture, or one beyond the limits
│   ├── RecipeError           a recipe that does not say what to do
│   └── StudyError            a study file, a rating or a link that cannot be used
├── MissingError              a capability is not here: an extra, a client, a device
├── FetchError                a source, a registry or a site did not deliver
├── IntegrityError            bytes that are not the bytes they should be
└── OutputError               the output cannot be written: read-only, full, in use
"""

__all__ = [
    "FetchError",
    "ImageError",
    "InputError",
    "IntegrityError",
    "LacbenchError",
    "MissingError",
    "OutputError",
    "RecipeError",
    "StudyError",
]


class LacbenchError(Exception):
    """Root of the tree; the command line prints it as one sentence and exits with status 1."""


class InputError(LacbenchError):
    """What the caller handed us cannot be used."""


class ImageError(InputError):
    """Bytes that are no picture we can read, or a picture beyond the limits."""


class RecipeError(InputError):
    """A recipe, preset or setting that does not say what to do."""


class StudyError(InputError):
    """A study file, a rating or a rater's link that cannot be used."""


class MissingError(LacbenchError):
    """A capability is not installed here; the message names the command that provides it."""


class FetchError(LacbenchError):
    """A source, a registry or a site did not deliver."""


class IntegrityError(LacbenchError):
    """Bytes that are not the bytes they should be."""


class OutputError(LacbenchError):
    """The output cannot be written: read-only, full, or not ours."""
