"""Several configs trained, or built, under one rule."""
