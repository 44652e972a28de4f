"""`python -m anomae` is the command `anomae`."""

from anomae.cli import main

if __name__ == "__main__":
    main()
