"""The rules of this code base. Each has a name, says what to do, and carries a sample that it must catch."""
