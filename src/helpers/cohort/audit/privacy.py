"""What could still identify a person."""

from helpers.cohort.audit.verdicts import AuditContext, Verdict, examples


def check_privacy(context: AuditContext) -> Verdict:
    """Whether headers hold direct identifiers."""
    table = context.table
    simulated = context.simulated
    checked = "No header holds a direct identifier (name, birth date, institution, record number)."
    held = table.dropna(subset="identifying_attributes")
    if held.empty:
        return Verdict("pass", checked, 0, "None of the attributes looked for holds a value.")
    names = sorted({name for names in held["identifying_attributes"] for name in names.split()})
    if simulated:
        return Verdict("pass", checked, 0, f"Attributes with a value: {', '.join(names)}; they name no person.")
    detail = f"Attributes with a value: {', '.join(names)}. De-identify the files before they leave your institution."
    return Verdict("warn", checked, len(held), detail, examples(held["sample_id"]))
