"""Whose picture it is, if nothing but the file name can tell.

A guess, and no more: whoever uses it says so. It errs towards one patient rather than two, since patients who are taken
for one cost samples, while one who is taken for two leaks from training into the test.
"""

import re
from typing import Optional

from helpers.cohort.pixels.copy_marks import original_stem

LEVEL = re.compile(r"c[1-7]|t\d{1,2}|l[1-6]|s[1-5]")
SEPARATORS = re.compile(r"[\s_.-]+")


def patient_of(file: str) -> Optional[str]:
    """The part of a file name that ends with its first number: `a/patient_012_L1-flip.png` gives `patient-012`.

    Marks of augmented copies are taken off first, and levels such as L1 are no numbers of patients. A name without a
    number is one patient with all its copies.

    Returns
    -------
    Lower-case name; None if the stem holds neither letters nor digits.
    """
    parts = [part for part in SEPARATORS.split(original_stem(file)) if part]
    named = [part for part in parts if not LEVEL.fullmatch(part)] or parts
    first = next((place for place, part in enumerate(named) if re.search(r"\d", part)), len(named) - 1)
    return "-".join(named[: first + 1]) or None
