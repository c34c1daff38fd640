"""Errors whose message is for the person who runs a study: what is wrong, where, and the way out."""


class StudyError(Exception):
    """Base of all errors that the command line shows as one sentence, without a traceback."""
