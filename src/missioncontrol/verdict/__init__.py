"""Is this release worse than its predecessors were at the same age? Pure functions of tables; no I/O, no clock.

The way through: `tables` (what comes in), `grid` (ages at which is looked), `outage` (lost pings), `strata` (who uses
it), `nowcast` (hours not yet reported), `environment` (what moves all versions), `spread` (how far harmless releases
differ), `lives` (a release with all this), `baseline` (what is learned from predecessors), `oddities` (what makes less
sure), `evidence` (e-values and intervals), `replay` (a life, look by look), `attribution` (where), `forecast` (when it
will be known), `judge` (the verdict).
"""
