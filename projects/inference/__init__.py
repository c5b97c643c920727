"""Using a trained model: predictions for files, and their records."""
