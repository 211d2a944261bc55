"""The rules of this code base. Each has a name, says what to do, and includes samples that it must catch."""
