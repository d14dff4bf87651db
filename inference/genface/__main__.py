"""`python -m genface` is the command `genface`."""

from genface.cli import main

if __name__ == "__main__":
    main()
