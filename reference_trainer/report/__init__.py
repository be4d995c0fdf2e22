"""From a run folder of ``ringlite train`` to the page that people read."""

from reference_trainer.report.page import REPORT, write_report

__all__ = ["REPORT", "write_report"]
