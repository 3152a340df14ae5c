"""The exception for mistakes in what the user supplied."""


class InputError(ValueError):
    """Something the user supplied is wrong; the message says what is wrong, where, and what to do."""
