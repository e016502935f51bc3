"""What the operator tells about itself and its resources: metrics and logs. It decides nothing."""
