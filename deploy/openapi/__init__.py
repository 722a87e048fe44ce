"""The published contract for partners: the OpenAPI document, and what programs rely on of it by version."""
