"""What is asked of models and configs: counts, times, races against peers, comparisons, checks, generated tables."""
