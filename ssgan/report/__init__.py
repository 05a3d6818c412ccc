"""A search to look at: a contact sheet of all trials' samples, and charts of their settings."""

from ssgan.report.contact import contact_sheet
from ssgan.report.coordinates import parallel_coordinates
from ssgan.report.curves import loss_curves
from ssgan.report.heat import heat_map
from ssgan.report.histories import Histories, History
from ssgan.report.outline import Outline, read_outline
from ssgan.report.pages import Report, write_report

__all__ = [
    "Histories",
    "History",
    "Outline",
    "Report",
    "contact_sheet",
    "heat_map",
    "loss_curves",
    "parallel_coordinates",
    "read_outline",
    "write_report",
]
