"""The cycle as a pure state machine: observation to decision."""
