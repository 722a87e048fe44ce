"""`python -m order_upsert` is the `orders` command."""

from order_upsert.deploy.cli import main

if __name__ == "__main__":
    main()
