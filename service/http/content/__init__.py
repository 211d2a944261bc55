"""Reading request content: media types, strict JSON, validation at bounded cost."""
