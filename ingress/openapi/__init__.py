"""The OpenAPI document: what FastAPI knows of the routes, and what our own reader of bytes does with them."""
