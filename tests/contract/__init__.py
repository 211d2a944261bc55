"""The API against its OpenAPI document, and what it accepts: JSON, texts, patches, lists against a model."""
