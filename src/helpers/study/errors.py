"""Errors whose message is for the person who runs a study: what is wrong, where, and the way out."""

import errno
import os

GO_ON = "What is finished is kept; the same command goes on from here."
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
REMEDIES = dict.fromkeys(NO_SPACE, "free some space") | {
    errno.EROFS: "this disk can only be read: put the project on another one",
    errno.EACCES: "ask for the right to write there, or put the project where you have it",
    errno.EPERM: "ask for the right to write there, or put the project where you have it",
    errno.ENOLCK: "this file system has no locks: put runs/ on another one",
    errno.EMFILE: "too many files are open: raise the limit with `ulimit -n`",
    errno.EIO: "the disk does not answer: look after it first",
}


class StudyError(Exception):
    """Base of all errors that the command line shows as one sentence, without a traceback."""


def storage_fault(error: OSError) -> str | None:
    """What a disk refused, where, and the way out, in a sentence; None for an error that is none of the disk's."""
    remedy = REMEDIES.get(error.errno)
    if remedy is None:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{os.strerror(error.errno)}; {remedy}. {GO_ON}"
