"""The one exception that is the user's to mend."""


class InputError(ValueError):
    """Something the user supplied is wrong; the message says what, where, and what to do about it."""
