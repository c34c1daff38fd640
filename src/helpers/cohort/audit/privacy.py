"""What could still identify a person: header attributes, letters in the pixels, names of files and folders."""

import re
from collections import Counter
from pathlib import PurePosixPath

import pandas as pd

from helpers.cohort.audit.verdicts import AuditContext, Verdict, counted, examples
from helpers.cohort.deidentification import group_of

# Age, sex and size describe a patient without naming one, and a study needs them for its first table.
HARMLESS_GROUPS = frozenset({"characteristics"})
MAX_NAMED = 6
BURNED_IN_COLUMN = "BurnedInAnnotation"

# Words that exports and studies write into names; a word beside them is no proof of a person's name.
PLAIN_WORDS = """
    abdomen absent anatomy annotation anonymous archive aug augmented axial background baseline benign biconcave
    bone brain burst case cases cervical chest class clean cohort compression contrast copy coronal crop crops crush
    data database dataset default dicom dicomdir digital export exports external extra file files first fold folder
    fracture fractured fractures frame grey healthy hospital ids image images img imgs internal label labels level
    lumbar lung mask masks measure mild moderate negative none normal original other output patient patients phantom
    pictures pixel plane positive processed public quality raw real recon report reports result results roi rotated
    sagittal sample samples scan scanner scans secret segmentation series set severe sharpened simulated slice
    slices source spine spines split stable standard studies study subject subjects test testing thin thoracic
    thoracolumbar train training unstable upload valid validation verse vertebra vertebrae volume wedge window xray
"""
KNOWN_WORDS = frozenset(PLAIN_WORDS.split())
YEAR = r"(?:19|20)\d\d"
MONTH, DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
GAP = "[-_. ]"
DATES = (f"{YEAR}{GAP}?{MONTH}{GAP}?{DAY}", f"{DAY}{GAP}?{MONTH}{GAP}?{YEAR}", f"{MONTH}{GAP}{DAY}{GAP}{YEAR}")
DATE = re.compile(rf"(?<!\d)(?:{'|'.join(DATES)})(?!\d)")
# Hospitals number patients with six digits or more, or say what the number is; UIDs have dots, counters leading zeros.
NUMBER = re.compile(r"(?<!\d)(?<!\d\.)[1-9]\d{5,11}(?!\.?\d)|(?<![A-Za-z])(?:MRN|PID|ACC)[-_ ]?\d{4,}", re.IGNORECASE)
# Two words with a capital each, or in capitals on both sides of a caret or comma, as `Muster_Erika` and `DOE^JOHN`.
CAPITAL, SMALL = "[A-Z\u00c0-\u00de]", "[a-z\u00df-\u00ff]"
NAME = re.compile(
    rf"({CAPITAL}{SMALL}{{2,}})[ _^,.-]+({CAPITAL}{SMALL}{{2,}})|({CAPITAL}{{2,}})[\^,] ?({CAPITAL}{{2,}})"
)


def check_privacy(context: AuditContext) -> Verdict:
    """Whether headers hold attributes that the confidentiality profile of DICOM PS3.15 removes or replaces."""
    table = context.table
    checked = "No header holds an attribute that de-identification removes (DICOM PS3.15, Basic Profile)."
    names = table["identifying_attributes"].dropna().str.split()
    telling = names.map(lambda held: [name for name in held if group_of(name) not in HARMLESS_GROUPS])
    telling = telling[telling.map(len) > 0]
    if telling.empty:
        return Verdict("pass", checked, 0, "None of the attributes looked for holds a value, age and sex aside.")
    listed = _by_group(sorted({name for held in telling for name in held}))
    if context.simulated:
        detail = f"Attributes with a value: {listed}; simulated, they tell of no person."
        return Verdict("pass", "No header tells of a person.", 0, detail)
    detail = f"Attributes with a value: {listed}. De-identify the files before they leave your institution."
    return Verdict("warn", checked, len(telling), detail, examples(table.loc[telling.index, "sample_id"]))


def check_burned_in_text(context: AuditContext) -> Verdict:
    """Whether letters were drawn into the pixels: by the header's own word, or found by the detector."""
    table = context.table
    checked = "No image has text burned into its pixels (header and detector)."
    absent = pd.Series(None, index=table.index, dtype="object")
    declared = table.get(BURNED_IN_COLUMN, absent) == "YES"
    found = pd.to_numeric(table.get("text_glyphs", absent)).fillna(0) > 0
    either = table[declared | found]
    if either.empty:
        return Verdict("pass", checked, 0, "Single letters and dark print would not be noticed: look at the images.")
    signs = {"Rows of letters were found in": found, "BurnedInAnnotation says YES in": declared}
    told = [f"{sign} {counted(int(images.sum()), 'images')}." for sign, images in signs.items() if images.any()]
    detail = f"{' '.join(told)} Look at them: names and dates in pixels outlast any de-identification of headers."
    return Verdict("warn", checked, len(either), detail, examples(either["sample_id"]))


def check_file_names(context: AuditContext) -> Verdict:
    """Whether files or folders are called like persons, dates or record numbers; told by count and kind only."""
    checked = "No file or folder name looks like a person's name, a date or a record number."
    kinds = context.table["source"].map(name_kinds)
    held = kinds[kinds.map(len) > 0]
    if held.empty:
        return Verdict(
            "pass",
            checked,
            0,
            "Compared with usual patterns; initials and names in small letters would not be noticed.",
        )
    counts = Counter(kind for found in held for kind in found)
    listed = ", ".join(f"{kind} in {counted(counts[kind], 'paths')}" for kind in sorted(counts))
    detail = f"Looks like a {listed}. Rename before sharing; exclusions and listings show file names as they are."
    if context.simulated:
        return Verdict("pass", checked, 0, f"Looks like a {listed}; simulated, it tells of no person.")
    return Verdict("warn", checked, len(held), detail, examples(context.table.loc[held.index, "sample_id"]))


def name_kinds(path: str) -> set[str]:
    """What the parts of a path look like: any of `name`, `date` and `record number`."""
    kinds = set()
    for part in PurePosixPath(path).parts:
        if DATE.search(part):
            kinds.add("date")
        if NUMBER.search(DATE.sub(" ", part)):
            kinds.add("record number")
        if any(_is_name(match) for match in NAME.finditer(part)):
            kinds.add("name")
    return kinds


def _is_name(match: re.Match[str]) -> bool:
    return not KNOWN_WORDS & {word.lower() for word in match.groups() if word}


def _by_group(names: list[str]) -> str:
    """Names sorted by what they tell of: `person: PatientName; dates: StudyDate, StudyTime`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of(name), []).append(name)
    return "; ".join(f"{group}: {_listed(held)}" for group, held in sorted(groups.items()))


def _listed(names: list[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
