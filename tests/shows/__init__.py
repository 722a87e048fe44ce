"""Too long for `make test`: run by hand, with figures."""
