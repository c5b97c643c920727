"""Configs and the files around them held against the code and against each other."""
