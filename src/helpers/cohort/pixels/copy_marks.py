"""File names that tell of a copy: `x-rotated2`, `x_flip`, `x (1)` and `x.rf.<hash>` say that they were made from x."""

import re
from pathlib import PurePosixPath

import pandas as pd

MARKS = r"""
    aug(ment(ed|ation)?)? | bright(ness|er|ened)? | blur(red)? | clahe | contrast(ed)? | copy | crop(ped)? |
    dark(er|ened)? | dup(licate[d]?)? | elastic | equali[sz]ed | flip(ped)?([hv]|lr|ud)? | gamma | [hv]flip |
    invert(ed)? | mirror(ed)? | nois[ey] | resized? | rot(ated?|ation)? | sharp(en(ed)?)? | shear(ed)? | shift(ed)? |
    translat(ed|ion) | warp(ed)? | zoom(ed)?
"""
MARK = re.compile(rf"([\s_.-]+({MARKS})[\s_-]*\d*(deg)? | \.rf\.[0-9a-f]{{6,}} | [\s_]*\(\d+\))+$", re.VERBOSE)
# `scan (1)` to `scan (900)` are numbered, not copied.
MAX_FAMILY = 60


def original_stem(source: str) -> str:
    """The stem of a file without the marks of a copy, in lower case: `a/Spine-rotated2.png` -> `spine`."""
    stem = PurePosixPath(source).stem.lower()
    return MARK.sub("", stem) or stem


def stem_families(sources: pd.Series) -> list[list[int]]:
    """Positions of files whose names say that they come from one original, at least one of them being marked.

    Names alone prove nothing: whoever asks must compare the pictures too.
    """
    originals = sources.map(original_stem).reset_index(drop=True)
    marked = originals != sources.map(lambda source: PurePosixPath(source).stem.lower()).reset_index(drop=True)
    families = marked.groupby(originals).agg(["size", "any"])
    telling = families.index[families["any"] & families["size"].between(2, MAX_FAMILY)]
    positions = originals[originals.isin(telling)].groupby(originals).indices
    members = originals[originals.isin(telling)]
    return [members.index[members == name].tolist() for name in positions] if len(members) else []
