"""What is too long for `make test`: shown by hand, with figures."""
