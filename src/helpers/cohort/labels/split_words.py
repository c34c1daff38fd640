"""How tables and folders call the three parts of a cohort that somebody has divided already."""

import re
from typing import Optional

TRAIN, VALIDATION, TEST = "train", "validation", "test"

# The first word decides, so that the names of public collections fit: "validation public", "test secret".
SPLIT_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "development": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "holdout": TEST,
}


def named_split(text: str) -> Optional[str]:
    """The part that a word stands for, whatever its case, or None if it is no such word."""
    first = re.match(r"[a-z]+", text.strip().lower())
    return SPLIT_WORDS.get(first.group()) if first else None
