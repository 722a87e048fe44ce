"""The `orders` command, the local stack, and the set-up of topics, tables and partners."""
