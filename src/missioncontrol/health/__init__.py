"""How releases fare: sums are read from the lake, judged by `verdict`, told in words, kept, and looked at again.

The way through: `model` (what is said), `sums` (from the lake to the tables that `verdict` reads), `judging` (the
looks of a release), `sentence` (in words), `turn` (every five minutes), `records` (the table `verdicts`), `calibration`
(the method on this installation's own past).
"""
