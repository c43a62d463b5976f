"""``python -m expunge`` is the console script."""

from expunge.cli.commands import main

if __name__ == "__main__":
    main()
