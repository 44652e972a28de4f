"""Arrays in, numbers out: metrics, intervals, operating points, strata, pixels."""
