"""`python -m stepswitch`: the same as the command `stepswitch`."""

from stepswitch.cli.main import main

if __name__ == "__main__":
    main()
