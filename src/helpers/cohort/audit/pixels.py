"""Scale, orientation and values of the images.

The values are judged by the facts of `helpers.cohort.pixels.pixel_facts`, which the cohort table holds for every image.
"""

import numpy as np
import pandas as pd

from helpers.cohort.audit.verdicts import AuditContext, Verdict, counted, examples
from helpers.cohort.files.volumes import ORIENTATIONS
from helpers.cohort.picture import GREY_BITS, HU_BITS

# Where the peaks of a whole cohort must lie (median over its images) if its values are HU. Measured on real CT: air
# -1013 to -948, fat -100 to -57, soft tissue 15 to 63 HU; the room allows for tube voltage, contrast and noise.
PEAK_RANGES_HU = {"air": (-1050, -850), "fat": (-140, -40), "soft": (0, 110)}
# Real planes hold 43 to 99 % of their pixels in the range of tissue, and at most 5 % in that of unshifted tissue.
MIN_TISSUE_SHARE, MAX_SHIFTED_SHARE = 0.1, 0.3
NORMALISED_RANGE = 20.0
WINDOWED_MAX, WINDOWED_LEVELS = 255.0, 256
MAX_SATURATED_SHARE = 0.02
BLANK_SHARE = 0.95
MAX_PADDING_SHARE = 0.7
MAX_SPREAD = 3.0
UPRIGHT = {
    "sagittal": "superior on top and anterior left",
    "coronal": "superior on top and the patient's right side left",
    "axial": "anterior on top and the patient's right side left",
}
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


def check_pixel_size(context: AuditContext) -> Verdict:
    """Whether pixel sizes are known."""
    table = context.table
    checked = "The pixel size of every image is known from its file or the labels table."
    assumed = table[table["spacing_from"] == "parameter"]
    if assumed.empty:
        return Verdict("pass", checked, 0, "No pixel size was assumed.")
    detail = "cohort.mm_per_px was assumed: lengths and scale of these images may be wrong."
    return Verdict("warn", checked, len(assumed), detail, examples(assumed["sample_id"]))


def check_orientation(context: AuditContext) -> Verdict:
    """Whether all images show the plane of the parameters, upright."""
    table = context.table
    # The slices of RSNA 2022 are used as they were acquired; no plane is cut.
    plane = "axial" if context.params.source == "rsna" else context.params.plane
    checked = f"Every image is {plane} with {UPRIGHT[plane]}."
    known = table.dropna(subset="PatientOrientation")
    other = known[known["PatientOrientation"] != ORIENTATIONS[plane]]
    if len(other):
        found = ", ".join(sorted(set(other["PatientOrientation"])))
        detail = f"Rows and columns run to {found}: the network sees these images in another plane or turned."
        return Verdict("warn", checked, len(other), detail, examples(other["sample_id"]))
    if len(known) < len(table):
        return Verdict("warn", checked, 0, "The files do not tell their orientation: look at the contact sheet.")
    return Verdict("pass", checked, 0, "Read from ImageOrientationPatient.")


def check_graphics(context: AuditContext) -> Verdict:
    """Whether marks of a viewer are in the images."""
    table = context.table
    checked = "No image carries coloured letters, scales or marks of a viewer."
    drawn = table[table["coloured_fraction"] > 0]
    if drawn.empty:
        return Verdict("pass", checked, 0, "All pixels are grey; grey marks would not be noticed.")
    detail = f"Up to {drawn['coloured_fraction'].max():.2%} of the pixels are coloured and used as grey."
    return Verdict("warn", checked, len(drawn), detail, examples(drawn["sample_id"]))


def unit_findings(table: pd.DataFrame) -> pd.Series:
    """What the values of each image seem to be where they are not HU, None where they may be; images in HU only.

    Parameters
    ----------
    table
        Cohort table with the columns of `pixel_facts`.
    """
    low, high = table["pixel_min"], table["pixel_max"]
    conditions = {
        "one value only": low == high,
        "scaled to a small range": high - low <= NORMALISED_RANGE,
        "8-bit grey values": (low >= 0) & (high <= WINDOWED_MAX) & (table["pixel_levels"] <= WINDOWED_LEVELS),
        "stored values without their intercept (about 1000 too high)": table["shifted_tissue_share"]
        > MAX_SHIFTED_SHARE,
        "no tissue where HU have it": table["tissue_share"] < MIN_TISSUE_SHARE,
    }
    words = np.select(list(conditions.values()), list(conditions), default="")
    found = pd.Series(words, index=table.index, dtype=object)
    return found.where((found != "") & (table["bits"] == HU_BITS), None)


def check_hounsfield(context: AuditContext) -> Verdict:
    """Whether the values can be HU."""
    checked = "The values are Hounsfield units: tissue lies where HU have it, in every image."
    table = context.table[context.table["bits"] == HU_BITS]
    if table.empty:
        detail = "The images hold grey values of an unknown window: nothing can be measured."
        return Verdict("untested", checked, 0, detail)
    found = unit_findings(table).dropna()
    if len(found):
        counted = ", ".join(f"{words} {count}" for words, count in found.value_counts().sort_index().items())
        detail = f"Not plausible: {counted}. Export these images again with their rescale."
        return Verdict("fail", checked, len(found), detail, examples(table.loc[found.index, "sample_id"]))
    medians = {tissue: table[f"{tissue}_peak_hu"].median() for tissue in PEAK_RANGES_HU}
    seen = {tissue: peak for tissue, peak in medians.items() if np.isfinite(peak)}
    words = "Median peaks: " + (", ".join(f"{tissue} {peak:.0f} HU" for tissue, peak in seen.items()) or "none seen")
    off = [name for name, peak in seen.items() if not PEAK_RANGES_HU[name][0] <= peak <= PEAK_RANGES_HU[name][1]]
    if off:
        return Verdict("warn", checked, len(off), f"{words}; unusual: {', '.join(off)}. Is the calibration right?")
    return Verdict("pass", checked, 0, f"{words}.")


def check_saturation(context: AuditContext) -> Verdict:
    """Whether bright structures are cut off at the greatest value."""
    checked = f"No image holds its greatest value in more than {MAX_SATURATED_SHARE:.0%} of its pixels."
    table = context.table
    cut = table[(table["highest_share"] > MAX_SATURATED_SHARE) & (table["pixel_max"] > table["pixel_min"])]
    if cut.empty:
        return Verdict("pass", checked, 0, "Bone is not cut off.")
    values = ", ".join(f"{value:g}" for value in sorted(cut["pixel_max"].unique())[:3])
    detail = f"Up to {cut['highest_share'].max():.1%} of the pixels are at the greatest value ({values}): bone is cut."
    return Verdict("warn", checked, len(cut), detail, examples(cut["sample_id"]))


def check_blank_images(context: AuditContext) -> Verdict:
    """Whether images show anything."""
    checked = f"No image is constant, or one value in more than {BLANK_SHARE:.0%} of its pixels."
    table = context.table
    constant = table["pixel_min"] == table["pixel_max"]
    blank = table[constant | (table["most_common_share"] > BLANK_SHARE)]
    if blank.empty:
        return Verdict("pass", checked, 0, "Every image shows something.")
    n_constant = int(constant.sum())
    detail = f"Constant: {counted(n_constant, 'images')}; nearly so: {len(blank) - n_constant}. Remove them."
    return Verdict("fail" if constant.any() else "warn", checked, len(blank), detail, examples(blank["sample_id"]))


def check_padding(context: AuditContext) -> Verdict:
    """Whether the borders are filled alike."""
    checked = f"Borders are filled with one value at most, and never more than {MAX_PADDING_SHARE:.0%} of an image."
    table = context.table
    padded = table[table["padding_share"] > 0]
    counts = padded["padding_value"].value_counts().sort_index()
    much = padded[padded["padding_share"] > MAX_PADDING_SHARE]
    if padded.empty:
        return Verdict("pass", checked, 0, "No image has a filled border.")
    words = ", ".join(f"{value:g} in {count}" for value, count in counts.items())
    detail = f"A filled border in {len(padded)} of {counted(len(table), 'images')}: {words}."
    unlike = padded[padded["padding_value"] != counts.idxmax()]
    doubtful = padded.loc[sorted({*much.index, *unlike.index})]
    if doubtful.empty:
        return Verdict("pass", checked, 0, detail)
    detail += " A network can tell images apart by what fills them."
    return Verdict("warn", checked, len(doubtful), detail, examples(doubtful["sample_id"]))


def check_geometry(context: AuditContext) -> Verdict:
    """Whether pixel sizes and matrices are of one order."""
    checked = f"Pixel sizes and matrices stay within {MAX_SPREAD:g} times their median, and pixels are nearly square."
    table = context.table
    sizes = table[["row_spacing_mm", "column_spacing_mm", "Rows", "Columns"]].astype(float)
    ratio = sizes / sizes.median()
    aspect = sizes["row_spacing_mm"] / sizes["column_spacing_mm"]
    far = (ratio > MAX_SPREAD) | (ratio < 1 / MAX_SPREAD)
    outlying = far.any(axis=1) | (aspect > MAX_SPREAD) | (aspect < 1 / MAX_SPREAD)
    low, high = sizes.min(), sizes.max()
    detail = (
        f"Spacing between rows {low['row_spacing_mm']:.2f} to {high['row_spacing_mm']:.2f} mm, between columns "
        f"{low['column_spacing_mm']:.2f} to {high['column_spacing_mm']:.2f} mm; "
        f"matrices {table['Rows'].min()} x {table['Columns'].min()} to {table['Rows'].max()} x "
        f"{table['Columns'].max()}."
    )
    if not outlying.any():
        return Verdict("pass", checked, 0, detail)
    names = ", ".join(name for name in far if far[name].any()) or "row to column spacing"
    detail += f" Far from the others: {names}."
    return Verdict("warn", checked, int(outlying.sum()), detail, examples(table.loc[outlying, "sample_id"]))


def check_photometric(context: AuditContext) -> Verdict:
    """Whether the files say how their values are to be shown, all alike."""
    checked = "PhotometricInterpretation is MONOCHROME1 or MONOCHROME2, the same in all files that name it."
    table = context.table
    if "PhotometricInterpretation" not in table or table["PhotometricInterpretation"].isna().all():
        grey = (table["bits"] == GREY_BITS).any()
        detail = "The files do not name it: look at the contact sheet for inverted images." if grey else "Not named."
        return Verdict("untested", checked, 0, detail)
    known = table.dropna(subset="PhotometricInterpretation")
    counts = known["PhotometricInterpretation"].value_counts()
    other = known[known["PhotometricInterpretation"] != counts.idxmax()]
    strange = known[~known["PhotometricInterpretation"].isin(MONOCHROME)]
    doubtful = known.loc[sorted({*other.index, *strange.index})]
    detail = ", ".join(f"{name} {count}" for name, count in counts.items()) + "."
    if doubtful.empty:
        return Verdict("pass", checked, 0, detail)
    detail += " HU are the same either way; stored grey values are not: compare both kinds by eye."
    return Verdict("warn", checked, len(doubtful), detail, examples(doubtful["sample_id"]))
