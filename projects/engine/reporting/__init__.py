"""What a run shows: the live bar, pictures, the report and the numbers of its data."""
