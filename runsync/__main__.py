"""``python -m runsync``: the same as the ``runsync`` command."""

from runsync.cli import main

if __name__ == "__main__":
    main()
