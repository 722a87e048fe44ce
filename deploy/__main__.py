"""Starts the `orders` command. `python -m deploy` does the same."""

import signal


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the process without a stack trace
    from deploy import streams

    streams.prepare()
    from deploy.cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        streams.finish()


if __name__ == "__main__":
    main()
