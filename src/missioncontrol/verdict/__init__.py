"""Is this release worse than its predecessors were at the same age? Pure functions of tables; no I/O, no clock.

The way through: `tables` (what comes in), `grid` (ages at which is looked), `outage` (lost pings), `strata` (who uses it),
`nowcast` (hours not yet reported), `environment` (what moves all versions), `spread` (how far harmless releases differ),
`baseline` (all that is learned from predecessors), `oddities` (what makes less sure), `evidence` (e-values and
intervals), `attribution` (where), `judge` (the verdict), `replay` (a life, look by look).
"""
