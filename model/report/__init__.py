"""The page that --mode test writes: every photo's pictures, numbers and turning face in one HTML file."""

from model.report.page import Report

__all__ = ["Report"]
