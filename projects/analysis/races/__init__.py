"""Time and memory, alone and side by side with peers."""
