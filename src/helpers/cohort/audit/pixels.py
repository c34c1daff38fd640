"""Scale, orientation and values of the images."""

from helpers.cohort.audit.verdicts import AuditContext, Verdict, examples
from helpers.cohort.volumes import ORIENTATIONS


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
    """Whether all images show the same plane, upright."""
    table = context.table
    checked = "Every image is sagittal with superior on top and anterior left."
    known = table.dropna(subset="PatientOrientation")
    other = known[known["PatientOrientation"] != ORIENTATIONS[context.params.plane]]
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
