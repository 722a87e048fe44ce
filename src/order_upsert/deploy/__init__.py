"""The `orders` command, the local stack, and the set-up of topics and database."""
