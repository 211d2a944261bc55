"""Lists: filters, sorting, cursors, and the page that they make."""
