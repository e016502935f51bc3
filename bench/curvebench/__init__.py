"""What the planner's fits are worth: convergence points, extrapolations and surfaces against the truth."""
