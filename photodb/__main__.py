"""`python -m photodb` is the command line."""

from photodb.cli import main

if __name__ == "__main__":
    main()
