"""The trainer, which at its end says what was imported after ``preload``."""
