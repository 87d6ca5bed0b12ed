"""What Grafana reads: flat lists of rates, verdicts and annotations."""
