"""Reporting room: one self-contained HTML file from the executed notebooks and artefacts of a run."""

from helpers.reporting.record import ReportError
from helpers.reporting.report import build_report, check_inputs

__all__ = ["ReportError", "build_report", "check_inputs"]
