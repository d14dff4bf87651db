"""`python -m evalface` is the command `evalface`."""

from evalface.cli import main

if __name__ == "__main__":
    main()
