"""The weights a run begins with: official files, earlier checkpoints, rows by class name; what is frozen."""
