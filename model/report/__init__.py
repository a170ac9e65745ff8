"""The page that --mode test leaves behind: every photo's pictures, numbers and turning face in one HTML file."""

from model.report.page import Report

__all__ = ["Report"]
