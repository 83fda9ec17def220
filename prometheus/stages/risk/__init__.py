"""The stage of risk: limits on the books, and the reports."""
