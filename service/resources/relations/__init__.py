"""Relations: items that other items refer to by a foreign key."""
