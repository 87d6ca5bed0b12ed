"""`python -m missioncontrol` is the `missioncontrol` command."""

from missioncontrol.cli import main

if __name__ == "__main__":
    main()
