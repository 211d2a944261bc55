"""Every column type that a declaration accepts, with extreme values, through every input and output."""
