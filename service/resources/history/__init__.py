"""Row history that ends: deleting what is too old, and erasing values from what stays."""
