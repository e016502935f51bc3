"""Pure numbers: curves, costs, beliefs, the choice. No I/O and no clock."""
