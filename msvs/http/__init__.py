"""What every HTTP front shares."""
