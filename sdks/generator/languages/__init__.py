"""What templates of single languages need beside the model."""
