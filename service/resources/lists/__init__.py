"""Lists: filters, sorting, cursors and pages."""
