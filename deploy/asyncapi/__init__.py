"""The published contract for shops that read or write the topics: an AsyncAPI document, and JSON Schemas by version."""
