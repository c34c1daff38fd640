"""Whose picture it is, if nothing but the file name can tell.

A guess, and no more: whoever uses it says so. It errs towards one patient rather than two, since patients who are taken
for one cost samples, while one who is taken for two leaks from training into the test.
"""

import re
from typing import Optional

# Marks that augmenting and copying programs append: -rotated2, _flip, _aug_3, .rf.0f3c..., " (1)", " - Copy".
COPY_MARK = re.compile(
    r"""(?:
        \.rf\.[0-9a-z]+ | [ _-]*\(\d+\) | [\s_-]+copy(?:[\s_-]*\(?\d+\)?)? | [_.](?:png|jpe?g|tiff?|bmp|webp) |
        [\s_.-]+(?:
            aug(?:mented|mentation)? | rot(?:ated?|ation)? | [hv]?[\s_-]?flip(?:ped)? | mirror(?:ed)? | sharp(?:en(?:ed)?)? |
            blur(?:red)? | nois[ey] | bright(?:ness|ened)? | dark(?:ened)? | contrast | crop(?:ped)? | zoom(?:ed)? |
            scaled? | resized? | shift(?:ed)? | translated? | shear(?:ed)? | equali[sz]ed? | gamma | clahe | elastic
        )[\s_.-]*\d*(?:deg)?
    )$""",
    re.IGNORECASE | re.VERBOSE,
)
LEVEL = re.compile(r"(?:c[1-7]|t\d{1,2}|l[1-6]|s[1-5])", re.IGNORECASE)
SEPARATORS = re.compile(r"[\s_.-]+")


def original_stem(stem: str) -> str:
    """The stem without the marks of augmented copies: `12-rotated2` and `12-sharpened` are both `12`."""
    while (mark := COPY_MARK.search(stem)) and mark.start():
        stem = stem[: mark.start()]
    return stem


def patient_of(stem: str) -> Optional[str]:
    """The part of a file name that ends with its first number: `patient_012_L1-rotated2` gives `patient-012`.

    Levels such as L1 are not numbers of patients. A name without a number is one patient with all its copies.

    Returns
    -------
    Lower-case name; None if the stem holds neither letters nor digits.
    """
    parts = [part for part in SEPARATORS.split(original_stem(stem).lower()) if part]
    named = [part for part in parts if not LEVEL.fullmatch(part)] or parts
    first = next((place for place, part in enumerate(named) if re.search(r"\d", part)), len(named) - 1)
    return "-".join(named[: first + 1]) or None
