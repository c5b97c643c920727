"""What ends a run in order: signals, Slurm, hangs, numbers that are not finite, processes that disagree."""
