"""Release trains: what a fleet's aggregates look like, release after release, with the truth known.

Where `simulate.fleet` renders pings, this draws the 5-minute aggregates directly, so that hundreds of trains can be
had: the worlds in which verdicts are tried (`world`), how they are used (`usage`), what crashes (`crashes`), and the
oddities of a candidate (`scenarios`). Nothing here reads a clock.
"""
