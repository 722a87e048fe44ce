"""Where the `orders` command starts: `python -m deploy` is the same."""

import signal


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C while the modules are read shows no stack trace
    from deploy.cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
